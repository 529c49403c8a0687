"""Augmentation of whole batches on the device: geometry, light, and more occlusion. Covered pixels stay exactly 0."""
