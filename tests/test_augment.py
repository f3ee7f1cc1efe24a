"""Augmentations do what their names say, on whole batches, from the trial's generator alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

from experiments.augment import affine, colour
from experiments.augment.batch import Batch, Facts
from experiments.augment.erase import LARGEST_AREA, SMALLEST_AREA, Erase, rectangles
from experiments.augment.mix import Mix, cut
from experiments.augment.rand_augment import OPERATIONS, RandAugment
from experiments.augment.settings import Augmentation
from experiments.augment.table import AUGMENTATIONS, make_steps

FACTS = Facts(image_size=16, num_classes=5, flip_safe=True, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1))
ALL = Augmentation(rand_augment_magnitude=9.0, erasing=0.5, mixup=0.8, cutmix=1.0)
SETTINGS = {
    "place": Augmentation(),
    "rand_augment": Augmentation(rand_augment_magnitude=9.0),
    "normalise": Augmentation(crop_padding=0, flip=False),
    "erase": Augmentation(erasing=0.5),
    "mix": Augmentation(mixup=0.8, cutmix=1.0),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photo_like(count: int = 4, channels: int = 3, size: int = 16) -> Tensor:
    """uint8 [B, C, H, W], smooth, with all levels."""
    coarse = torch.rand(count, channels, 4, 4, generator=generator())
    return (torch.nn.functional.interpolate(coarse, size=size, mode="bilinear") * 255).to(torch.uint8)


def batch_of(count: int = 8, channels: int = 3) -> Batch:
    return Batch(photo_like(count, channels), torch.arange(count) % FACTS.num_classes)


def run(settings: Augmentation, seed: int, batch: Batch | None = None) -> Batch:
    batch, draws = batch or batch_of(), generator(seed)
    for step in make_steps(settings, FACTS):
        batch = step(batch, draws)
    return batch


# The table


def test_a_setting_for_each_augmentation_is_tested() -> None:
    assert SETTINGS.keys() == AUGMENTATIONS.keys()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_one_seed_gives_one_batch_and_the_input_stays(name: str) -> None:
    step = AUGMENTATIONS[name](SETTINGS[name], FACTS)
    assert step is not None
    batch = Batch(photo_like(64) if name in ("place", "normalise") else photo_like(64).float(), torch.arange(64) % 5)
    before = batch.images.clone()
    one, same, other = (step(batch, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(one.images, same.images)
    assert torch.equal(one.targets, same.targets)
    assert torch.equal(batch.images, before)
    assert name == "normalise" or not torch.equal(one.images, other.images)


def test_only_moving_mirroring_and_normalising_are_on_by_default() -> None:
    assert [type(step).__name__ for step in make_steps(Augmentation(), FACTS)] == ["Place", "Normalise"]


def test_all_together_give_numbers_for_the_network() -> None:
    images, targets = run(ALL, 0)
    assert images.dtype == targets.dtype == torch.float32
    assert images.shape == (8, 3, 16, 16)
    assert targets.shape == (8, FACTS.num_classes)
    assert torch.isfinite(images).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_all_together_take_any_number_of_channels(channels: int) -> None:
    facts = Facts(16, 5, flip_safe=False, mean=(0.5,) * channels, std=(0.2,) * channels)
    batch = batch_of(32, channels)
    for step in make_steps(ALL, facts):
        batch = step(batch, generator())
    assert batch.images.shape == (32, channels, 16, 16)
    assert torch.isfinite(batch.images).all()


# RandAugment


def amounts(*values: float) -> Tensor:
    return torch.tensor(values)


@pytest.mark.parametrize("change", [-0.9, -0.3, 0.0, 0.6])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (colour.brightness, reference.adjust_brightness),
        (colour.contrast, reference.adjust_contrast),
        (colour.saturation, reference.adjust_saturation),
        (colour.sharpness, reference.adjust_sharpness),
    ],
)
def test_light_and_colour_are_those_of_torchvision(ours, theirs, change: float) -> None:
    images = photo_like().float()
    found = ours(images, torch.full((4,), change))
    torch.testing.assert_close(found, theirs(images / 255, 1 + change) * 255, atol=1e-3, rtol=0)


@pytest.mark.parametrize("bits", [8, 7, 5, 4])
def test_posterize_is_that_of_torchvision(bits: int) -> None:
    images = photo_like()
    assert torch.equal(
        colour.posterize(images.float(), torch.full((4,), 8.0 - bits)), reference.posterize(images, bits).float()
    )


@pytest.mark.parametrize("threshold", [0, 100, 255])
def test_solarize_is_that_of_torchvision(threshold: int) -> None:
    images = photo_like()
    found = colour.solarize(images.float(), torch.full((4,), 255.0 - threshold))
    assert torch.equal(found, reference.solarize(images, threshold).float())


def test_equalize_is_that_of_torchvision() -> None:
    images = torch.cat([photo_like(size=32) // 2, torch.full((1, 3, 32, 32), 7, dtype=torch.uint8)])
    found = colour.equalize(images.float(), torch.zeros(5))
    assert torch.equal(found, reference.equalize(images).float())


def test_autocontrast_is_that_of_torchvision() -> None:
    images = torch.cat([photo_like() // 3 + 20, torch.full((1, 3, 16, 16), 7, dtype=torch.uint8)])
    found = colour.autocontrast(images.float(), torch.zeros(5))
    assert (found - reference.autocontrast(images).float()).abs().max() <= 1.01


def test_rotation_by_a_right_angle_is_exact_and_counterclockwise() -> None:
    images = photo_like().float()
    turned = affine.rotate(images, amounts(90, -90, 180, 0))
    for index, quarters in enumerate((1, -1, 2, 0)):
        torch.testing.assert_close(turned[index], images[index].rot90(quarters, (1, 2)), atol=0.1, rtol=0)


def test_translation_by_whole_pixels_is_exact_and_brings_in_grey() -> None:
    images = photo_like().float()
    moved = affine.translate_x(images, torch.full((4,), 3 / 16))
    torch.testing.assert_close(moved[..., :-3], images[..., 3:], atol=0.1, rtol=0)
    assert torch.allclose(moved[..., -3:], torch.tensor(128.0))
    moved = affine.translate_y(images, torch.full((4,), -3 / 16))
    torch.testing.assert_close(moved[..., 3:, :], images[..., :-3, :], atol=0.1, rtol=0)


@pytest.mark.parametrize(("shear", "axis"), [(affine.shear_x, 2), (affine.shear_y, 3)])
def test_shear_moves_lines_by_their_distance_from_the_middle(shear, axis: int) -> None:
    images = photo_like().float()
    sheared = shear(images, torch.full((4,), 1.0))
    for place in range(16):  # pixel centres are at half pixels: line 0 is 7.5 pixels from the middle
        line, before = (some.select(axis, place) for some in (sheared, images))
        shift = place - 7.5
        low = torch.roll(before, -int(np.floor(shift)), dims=-1)
        high = torch.roll(before, -int(np.ceil(shift)), dims=-1)
        kept = slice(max(0, int(np.ceil(-shift))), 16 - max(0, int(np.ceil(shift))))
        torch.testing.assert_close(line[..., kept], ((low + high) / 2)[..., kept], atol=0.1, rtol=0)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_treats_each_image_by_itself(name: str) -> None:
    operation, images = OPERATIONS[name], photo_like().float()
    amount = operation.limit * amounts(0.2, -0.7 if operation.signed else 0.7, 1.0, 0.0)
    together = operation.apply(images, amount)
    alone = [operation.apply(images[i : i + 1], amount[i : i + 1]) for i in range(4)]
    torch.testing.assert_close(together, torch.cat(alone))
    assert together.min() >= 0
    assert together.max() <= 255


def test_each_image_meets_the_operation_that_it_drew() -> None:
    images = torch.arange(512.0)[:, None, None, None].expand(512, 1, 2, 2)
    marks = [lambda part, amount, by=by: part + 1000 * by for by in range(4)]
    operations = tuple(type(OPERATIONS["identity"])(mark, 0.0) for mark in marks)
    done = RandAugment(1.0, 1, operations)(Batch(images, torch.arange(512)), generator()).images[:, 0, 0, 0]
    assert torch.equal(done % 1000, torch.arange(512.0))
    assert all(100 < (done // 1000 == by).sum() < 156 for by in range(4))


def test_the_magnitude_is_felt() -> None:
    def change(magnitude: float) -> float:
        settings = Augmentation(0, False, rand_augment_magnitude=magnitude)
        plain = run(Augmentation(0, False), 0, batch_of(256)).images
        return float((run(settings, 0, batch_of(256)).images - plain).abs().mean())

    assert 0 < change(1.0) < change(5.0) < change(10.0)


# Erasing


def test_rectangles_have_the_areas_and_shapes_that_were_drawn() -> None:
    drawn = torch.rand(4, 500, generator=generator())
    inside = rectangles(drawn, 64)
    heights, widths = inside.any(dim=2).sum(dim=1), inside.any(dim=1).sum(dim=1)
    assert torch.equal(inside.sum(dim=(1, 2)), heights * widths), "filled rectangles"
    uncut = (heights < 64) & (widths < 64)
    share = (heights * widths / 64**2)[uncut]
    wanted = (SMALLEST_AREA + (LARGEST_AREA - SMALLEST_AREA) * drawn[0])[uncut]
    assert (share - wanted).abs().max() < 0.02
    assert rectangles(drawn, 8).any(dim=0).all(), "they reach every pixel"


def test_a_share_of_the_images_is_erased_and_the_rest_stays() -> None:
    images = torch.zeros(1000, 3, 16, 16)
    erased = Erase(0.25)(Batch(images, torch.arange(1000)), generator()).images
    touched = (erased != 0).flatten(1).any(dim=1)
    assert 200 < touched.sum() < 300
    noise = erased[erased != 0]
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05


# Mixup and CutMix


def mixed(mix: Mix, seed: int) -> tuple[Batch, Batch]:
    before = Batch(torch.randn(6, 3, 16, 16, generator=generator(1)), torch.tensor([0, 1, 2, 3, 4, 0]))
    return before, mix(before, generator(seed))


@pytest.mark.parametrize("seed", range(5))
def test_mixup_blends_images_and_targets_by_one_share(seed: int) -> None:
    before, after = mixed(Mix(0.8, 0.0, 1.0, 5), seed)
    share = after.targets[1, 1]
    assert 0 < share < 1
    torch.testing.assert_close(after.images, share * before.images + (1 - share) * before.images.flip(0))
    assert after.targets[1, 4] == pytest.approx(1 - share.item(), abs=1e-6)
    assert after.targets[0, 0] == 1  # its partner is of its class
    torch.testing.assert_close(after.targets.sum(dim=1), torch.ones(6))


@pytest.mark.parametrize("seed", range(10))
def test_cutmix_pastes_a_box_whose_area_is_in_the_targets(seed: int) -> None:
    before, after = mixed(Mix(0.0, 1.0, 1.0, 5), seed)
    own = (after.images == before.images).all(dim=1)  # [B, H, W]
    assert torch.equal(after.images, torch.where(own[:, None], before.images, before.images.flip(0)))
    assert (own == own[0]).all(), "one box for the batch"
    assert after.targets[1, 1] == pytest.approx(own[0].float().mean().item(), abs=1e-6)
    rows, columns = (~own[0]).any(dim=1).sum(), (~own[0]).any(dim=0).sum()
    assert (~own[0]).sum() == rows * columns


@pytest.mark.parametrize(("share", "centre"), itertools.product([0.0, 0.3, 1.0], [(0.5, 0.5), (0.0, 0.99)]))
def test_a_box_outside_the_image_is_cut_and_counted_as_cut(share: float, centre: tuple[float, float]) -> None:
    images = torch.stack([torch.zeros(1, 20, 20), torch.ones(1, 20, 20)])
    found, own = cut(images, share, np.array(centre))
    assert found[0].mean().item() == pytest.approx(1 - own)
    if centre == (0.5, 0.5):
        assert own == pytest.approx(share, abs=0.06)  # sides are whole and even


def test_mixup_and_cutmix_alternate_between_batches() -> None:
    kinds = []
    for seed in range(200):
        before, after = mixed(Mix(0.8, 1.0, 0.75, 5), seed)
        copied = ((after.images == before.images) | (after.images == before.images.flip(0))).all()
        same = torch.equal(after.images, before.images)
        kinds.append("plain" if same and (after.targets.max(dim=1).values == 1).all() else "cut" if copied else "blend")
    assert 35 <= kinds.count("plain") <= 75  # a quarter, and empty boxes
    assert 45 <= kinds.count("cut") <= 105
    assert 45 <= kinds.count("blend") <= 105


def test_a_batch_that_is_not_mixed_has_the_loss_of_its_labels() -> None:
    before, after = mixed(Mix(0.8, 0.0, 0.0, 5), 0)
    logits = torch.randn(6, 5, generator=generator())
    smooth = {"label_smoothing": 0.1}
    loss = torch.nn.functional.cross_entropy
    assert torch.equal(after.images, before.images)
    torch.testing.assert_close(loss(logits, after.targets, **smooth), loss(logits, before.targets, **smooth))


# Settings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop_padding": 0.5}, "recipe.crop_padding must be a whole number of at least 0, got 0.5"),
        ({"crop_padding": "2"}, "recipe.crop_padding must be a whole number of at least 0, got '2'"),
        (
            {"rand_augment_operations": -1},
            "recipe.rand_augment_operations must be a whole number of at least 0, got -1",
        ),
        ({"rand_augment_magnitude": 11}, "recipe.rand_augment_magnitude must be between 0 and 10, got 11"),
        ({"erasing": 1.5}, "recipe.erasing must be between 0 and 1, got 1.5"),
        ({"mixup": -1}, "recipe.mixup must be 0 or above, got -1"),
        ({"cutmix": float("nan")}, "recipe.cutmix must be 0 or above, got nan"),
        ({"mix_probability": 2}, "recipe.mix_probability must be between 0 and 1, got 2"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared below
        Augmentation(**change)
    assert str(caught.value).startswith(message)
