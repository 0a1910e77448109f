"""afterfault: brings about documented bad days and proves whether the world came back."""

from importlib.metadata import version

__version__ = version("afterfault")
