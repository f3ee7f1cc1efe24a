"""What may vary in a TransXNet, and what of it is legal."""

from space.space import IllegalVariant, Labels, Space

__all__ = ["IllegalVariant", "Labels", "Space"]
