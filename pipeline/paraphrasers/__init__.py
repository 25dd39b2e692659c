"""Stages that say the same in other words; see pipeline/augmenters for what a stage is."""

from __future__ import annotations

from pipeline.registry import Registry

paraphrasers = Registry("pipeline.paraphrasers")
