"""The benchmark: MNIST, the exact generator, its batched likeness, submissions."""
