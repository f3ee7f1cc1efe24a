"""Training images varied as whole batches of tensors, on the trial's device.

`settings` says how, `table` lists the augmentations in the order of their use, a file each holds what they do.
To add one, write a file with a maker and add one entry to `table.AUGMENTATIONS`; one more of RandAugment's
operations is one entry in `rand_augment.OPERATIONS`.
"""
