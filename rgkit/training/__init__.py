"""How a kernel is learned."""
