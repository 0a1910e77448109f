"""Node images for kind, made without an image registry, and the tools that go with them.

What a fixture needs: `pick_node_image` for the image, `tool_paths` for kind and kubectl. How images are made is in
``recipe.py``, a list of steps.
"""

from __future__ import annotations

from harness.nodeimage.images import NodeImage, find_node_images, pick_node_image
from harness.nodeimage.machine import check_inotify
from harness.nodeimage.tools import ToolPaths, tool_paths

__all__ = [
    "NodeImage",
    "ToolPaths",
    "check_inotify",
    "find_node_images",
    "pick_node_image",
    "tool_paths",
]
