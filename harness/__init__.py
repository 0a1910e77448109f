"""afterfault: brings about documented bad days and proves whether the world came back."""

__version__ = "0.1.0"
