"""Fetch the newest release: python download_release.py URL PROJECT FILE (token in WHETSTONE_TOKEN)."""

import os
import sys
from pathlib import Path

from whetstone_client import Whetstone

with Whetstone(sys.argv[1], os.environ["WHETSTONE_TOKEN"]) as site:
    newest = site.releases(sys.argv[2])[0]
    file = site.download(sys.argv[2], newest["number"], "data.jsonl", Path(sys.argv[3]))
    rows = sum(1 for _ in site.release_rows(sys.argv[2], newest["number"]))
    print(f"release {newest['number']} ({newest['digest'][:12]}): {file.stat().st_size} bytes, {rows} rows")
