"""Pairs of images: files and arrays from anyone, checks, folds, batches, augmentation."""
