"""Ask the guard about each line of standard input: python moderate.py URL (key in WHETSTONE_KEY)."""

import os
import sys

from whetstone_client import Whetstone

with Whetstone(sys.argv[1], key=os.environ["WHETSTONE_KEY"]) as site:
    lines = [line.strip() for line in sys.stdin if line.strip()]
    for line, answer in zip(lines, site.moderate(lines), strict=True):
        print("flagged" if answer["flagged"] else "fine", max(answer["category_scores"].values(), default=0.0), line)
