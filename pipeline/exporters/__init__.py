"""Writing examples to files. An exporter is called as `(rows, file)` on an iterator of rows and a binary file.

It streams, so memory stays flat, and the same rows give the same bytes.
"""

from __future__ import annotations

from pipeline.registry import Registry

exporters = Registry("pipeline.exporters")
