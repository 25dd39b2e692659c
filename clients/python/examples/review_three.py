"""Accept what the machine proposed for three items: python review_three.py URL PROJECT (token in WHETSTONE_TOKEN)."""

import os
import sys

from whetstone_client import Whetstone

with Whetstone(sys.argv[1], os.environ["WHETSTONE_TOKEN"]) as site:
    for item in site.claim(sys.argv[2], 3)[:3]:
        verdict = site.judge(sys.argv[2], item, "accept")
        print(item["example"], item["proposed"]["label"], verdict["state"])
