"""Tables give each point's legality and cost exactly as building it does, and draw legal points uniformly."""

import math
from collections import Counter

import numpy as np
import pytest

from space.budget import Budget
from space.codes import Coding
from space.costs import Costs
from space.dimension import Dimension
from space.draws import NothingFeasible
from space.presets import load_preset, preset_names
from space.prices import Built
from space.reads import Watch
from space.rules import RULES
from space.space import IllegalVariant, Space
from space.tables import COLUMNS, Tables
from transxnet.cost import estimate
from transxnet.cost.closed_form import table_cost
from transxnet.variants import VARIANTS

T = VARIANTS["transxnet_t"].arch
EXACT = ("params", "macs", "macs_published", "activations")

# Every rule of a stage and every way to set a field; zeros and odd strides that no stage can have.
WILD = [
    Dimension("depth", "stage", [[3, 0], [3, 0], [9, 0], [3, 0]]),
    Dimension("width", "stage", [[48, 50], [96, 63], [224, 12], [448, 7]]),
    Dimension("heads", "stage", [[1, 0], [2, 3], [4, 5], [8, 16]]),
    Dimension("osr_stride", "stage", [[8, 4, 0, 3], [4, 8], [2, 1], [1, 2]]),
    Dimension("osr_overlap", "tied", [3, 0, 2]),
    Dimension("idconv_share", "tied", [0.5, 0.25, 0.9]),
    Dimension("idconv_kernel", "tied", [7, 4]),
    Dimension("idconv_reduction", "tuple", [4, [4, 64, 2, 1]]),
    Dimension("ffn_ratio", "stage", [4, 0.01]),
    Dimension("ffn_kernels", "tied", [[1, 3, 5, 7], [3, 1], [2], [3, 5]]),
    Dimension("", "together", {"own": {}, "plain": {"ffn": "plain", "token_enhancer": "none", "dpe": False},
                               "few": {"ffn": "inverted_residual", "global_mixer": ["full", "sra", "pooled", "none"]}},
              name="parts"),
    Dimension("local_mixer", "tuple", ["idconv", ["dwconv", "none", "dyconv", "d_dwconv"]]),
    Dimension("mixing", "tied", ["parallel", "series"]),
    Dimension("image_size", "tied", [224, [64, 96], 0]),
    Dimension("stem_stride", "tied", [4, 2]),
]  # fmt: skip


def make(*dimensions, rules=(), match=None, base=T):
    return Space("mine", "A question?", base, "transxnet_t", dimensions, rules, match)


def wild(rules=("osr_stride_never_grows", "widths_never_shrink")):
    return make(*WILD, rules=rules)


def disagreements(space, codes):
    """Checks each point of `codes` against building it; returns how many of them are legal."""
    coding = Coding(space.base, space.axes)
    found = Tables(coding, space.rules).add_up(codes, COLUMNS)
    legal = 0
    for row in range(codes.shape[1]):
        labels = coding.labels(codes[:, row].tolist())
        try:
            cost = estimate(space.build(labels))
        except IllegalVariant:
            assert found["broken"][row] > 0, labels
            continue
        legal += 1
        assert found["broken"][row] == 0, labels
        for name in EXACT:
            assert found[name][row] == getattr(cost, name), (name, labels)
        for name, macs in cost.by_operator().items():
            assert found[name][row] == macs, (name, labels)
    return legal


@pytest.mark.parametrize("name", preset_names())
def test_tables_agree_with_building_on_random_points_of_every_preset(name):
    space = load_preset(name)
    coding = Coding(space.base, space.axes)
    assert disagreements(space, coding.draw(300, np.random.default_rng(0))) > 0


def test_tables_agree_with_building_whatever_a_space_varies():
    space = wild()
    coding = Coding(space.base, space.axes)
    rng = np.random.default_rng(1)
    assert disagreements(space, coding.draw(600, rng)) == 0  # nearly all are illegal, by some rule
    # Near the base many are legal: most axes at its choice, the others anywhere.
    near = coding.draw(1500, rng)
    base = np.array([[axis.labels.index(space.baseline[axis.name])] for axis in space.axes])
    near = np.where(rng.random(near.shape) < 0.9, base, near)
    assert 100 < disagreements(space, near) < 1000


def test_legal_points_of_a_wild_space_are_legal_and_their_costs_exact():
    space = wild()
    drawn = Tables(Coding(space.base, space.axes), space.rules).draw(300, np.random.default_rng(2))
    assert disagreements(space, drawn) == 300


def test_a_formula_depends_on_what_it_reads():
    watch = Watch(Coding(load_preset("everything").base, load_preset("everything").axes))

    def reads(formula):
        return watch.reads(formula) - {(None, "image_size"), (None, "stem_stride")}

    table = {(2, name) for name in ("heads", "osr_stride", "global_mixer", "position_table")}
    assert reads(lambda arch: table_cost(arch.stages[2], arch.grids()[2])) == table
    assert reads(lambda arch: arch.stages[1].ffn_tap_sum) == {(1, "ffn_kernels")}
    assert reads(lambda arch: arch.stages[0].ste_width) == {(0, "width"), (0, "ste_floor"), (0, "ste_reduction")}
    assert reads(RULES["widths_never_shrink"].holds) == {(stage, "width") for stage in range(4)}
    assert watch.reads(lambda arch: arch.grids()) == {(None, "image_size"), (None, "stem_stride")}


def test_the_legal_share_is_exact():
    space = load_preset("osr_stride")
    legal = sum(1 for labels in space.points() if _builds(space, labels))
    assert space.prices.legal_share.value == pytest.approx(legal / space.size, rel=1e-12)
    tables = Tables(Coding(space.base, space.axes), space.rules)
    (demand,) = tables.demands
    assert (demand.name, demand.stage, demand.share) == ("osr_stride_never_grows", None, legal / space.size)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_legal_shares_of_each_choice_are_those_of_the_listed_points(size):
    space = make(*WILD[1:3], *WILD[5:5 + size], rules=["widths_never_shrink"])  # fmt: skip
    points, prices = space.enumerate(), space.prices
    assert prices.legal_share.value == pytest.approx(len(points) / space.size)
    for place, axis in enumerate(space.axes):
        counts = np.bincount(points.codes[place], minlength=len(axis.labels))
        assert prices.legal_shares(place) == pytest.approx(counts * len(axis.labels) / space.size)


def test_the_share_of_a_space_of_10_to_the_20_is_a_product_where_rules_are_apart():
    # Half of the widths fit the heads in each stage, whatever the many others choose.
    widths = Dimension("width", "stage", [[48, 49], [96, 97], [224, 225], [448, 449]])
    others = [Dimension(field, "stage", list(range(1, 33))) for field in ("depth", "idconv_groups", "ste_floor")]
    space = make(widths, *others)
    assert space.size == 2**64
    assert space.prices.legal_share.value == 1 / 16


def test_draws_are_uniform_over_the_legal_points():
    space = load_preset("osr_stride")
    points = space.sample(68_000, np.random.default_rng(0)).points
    counts = Counter(map(tuple, points.codes.T.tolist()))
    assert len(counts) == len(space.enumerate()) == 68
    # Chi squared of 67 degrees of freedom: mean 67, standard deviation 11.6.
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 67 + 5 * 11.6


def test_listed_points_are_the_legal_ones_in_order():
    space = load_preset("osr_stride")
    points = space.enumerate()
    assert [points.labels(row) for row in range(len(points))] == [
        labels for labels in space.points() if _builds(space, labels)
    ]
    costs = [estimate(points.arch(row)) for row in range(len(points))]
    assert points.costs.params.tolist() == [cost.params for cost in costs]
    assert points.costs.gmacs.tolist() == [cost.gmacs for cost in costs]
    for name in EXACT:
        assert points.costs.column(name).tolist() == [getattr(cost, name) for cost in costs]
    assert {name: macs.tolist() for name, macs in points.costs.by_operator().items()} == {
        name: [cost.by_operator()[name] for cost in costs] for name in costs[0].by_operator()
    }


def test_listing_in_several_blocks_is_listing():
    space = make(*(Dimension(field, "stage", [2, 3, 4, 6]) for field in ("idconv_groups", "ffn_ratio")), WILD[4])
    points = space.enumerate()
    assert len(points) == 2 * space.size // 3  # an overlap of 2 is illegal
    assert points.labels(0) == next(iter(space.points()))
    row = 100_001
    assert estimate(points.arch(row)).macs == points.costs.macs[row]
    places = np.ravel_multi_index(points.codes.astype(int), [len(axis.labels) for axis in space.axes])
    assert np.all(np.diff(places) > 0)


def test_points_are_filtered_by_mask_and_become_columns():
    space = load_preset("osr_stride")
    points = space.enumerate()
    light = points[points.costs.gmacs < 1.8]
    assert 0 < len(light) < len(points)
    assert max(estimate(light.arch(row)).gmacs for row in range(len(light))) < 1.8
    columns = light.to_columns()
    assert list(columns) == [*(axis.name for axis in space.axes), "params", "macs"]
    assert {name: columns[name][3] for name in light.labels(3)} == light.labels(3)


@pytest.mark.parametrize("name", ["osr_stride", "transxnet"])
def test_feasible_points_are_listed_and_drawn_and_their_share_told(name):
    space = load_preset(name)
    reference = space.sample(20_000, np.random.default_rng(1)).points
    gmacs, params_m = np.median(reference.costs.gmacs), np.quantile(reference.costs.params_m, 0.7)
    budget = Budget(max_gmacs=float(gmacs), max_params_m=float(params_m))
    drawn = space.sample(3000, np.random.default_rng(0), budget.admits)
    assert len(drawn.points) == 3000
    assert drawn.points.costs.gmacs.max() <= gmacs
    assert drawn.points.costs.params_m.max() <= params_m
    assert all(budget.refusal(estimate(drawn.points.arch(row))) is None for row in range(20))
    share = budget.admits(reference.costs).mean()
    assert abs(drawn.feasible.value - share) < 0.02
    assert drawn.feasible.is_exact == (name == "osr_stride")
    assert drawn.feasible.low <= drawn.feasible.value <= drawn.feasible.high
    assert drawn.legal.is_exact


def test_draws_from_a_budget_are_uniform_over_what_it_leaves():
    space = load_preset("osr_stride")
    budget = Budget(max_gmacs=1.8)
    listed = {tuple(point) for point in space.enumerate(budget.admits).codes.T.tolist()}
    counts = Counter(
        map(tuple, space.sample(100 * len(listed), np.random.default_rng(0), budget.admits).points.codes.T.tolist())
    )
    assert set(counts) == listed
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < len(listed) + 5 * math.sqrt(2 * len(listed))


@pytest.mark.parametrize("name", ["osr_stride", "transxnet", "everything"])
def test_one_seed_gives_one_sample(name):
    space, budget = load_preset(name), Budget(max_gmacs=1.9)
    first, again, other = (space.sample(50, np.random.default_rng(seed), budget.admits).points for seed in (3, 3, 4))
    assert first.codes.tolist() == again.codes.tolist() != other.codes.tolist()


@pytest.mark.parametrize("name", ["osr_stride", "transxnet"])
def test_a_budget_that_leaves_nothing_is_told_in_one_line(name):
    with pytest.raises(NothingFeasible, match="raise the budget") as caught:
        load_preset(name).sample(5, np.random.default_rng(0), Budget(max_gmacs=1e-6).admits)
    assert "\n" not in str(caught.value)


def test_a_space_of_too_many_points_is_not_listed():
    with pytest.raises(ValueError, match="only a space of up to 10,000,000 points is listed, got 477,757,440; draw"):
        load_preset("transxnet").enumerate()


def test_a_sample_has_a_point():
    with pytest.raises(ValueError, match="a sample has at least 1 point, got 0; write for example 1000"):
        load_preset("osr_stride").sample(0, np.random.default_rng(0))


def test_a_matched_space_is_known_by_building():
    space = make(Dimension("ffn", "tied", ["msffn", "plain"]), Dimension("osr_overlap", "tied", [3, 2]), match="gmacs")
    assert isinstance(space.prices, Built)
    points = space.enumerate()
    assert [points.labels(row)["ffn"] for row in range(len(points))] == ["msffn", "plain"]
    assert [estimate(points.arch(row)).macs for row in range(2)] == points.costs.macs.tolist()
    drawn = space.sample(10, np.random.default_rng(0))
    assert {drawn.points.labels(row)["osr_overlap"] for row in range(10)} == {"3"}
    assert not drawn.legal.is_exact


def test_a_space_too_wide_for_tables_is_known_by_building():
    kernels = [[1, 3, 5, 7], *([size, other] for size in (1, 3, 5, 7) for other in range(9, 109, 2))]
    ratios = [4, *(4 + step / 8 for step in range(1, 200))]
    dimensions = [Dimension("ffn_kernels", "tied", kernels), Dimension("ffn_ratio", "tied", ratios),
                  Dimension("width", "tuple", [T.column("width"), *([16 * n] * 4 for n in range(1, 200))])]  # fmt: skip
    space = make(*dimensions)
    assert isinstance(space.prices, Built)
    assert len(space.sample(3, np.random.default_rng(0)).points) == 3


def test_a_space_whose_rules_bind_too_much_together_is_known_by_building():
    sizes = [[width, *range(width + 2, width + 120, 2)] for width in T.column("width")]
    heads = [[heads, *range(heads + 1, heads + 20)] for heads in T.column("heads")]
    space = make(Dimension("width", "stage", sizes), Dimension("heads", "stage", heads), rules=["widths_never_shrink"])
    assert isinstance(space.prices, Built)


def test_what_is_not_asked_for_is_not_added_up():
    asked = []

    class Spy(Tables):
        def add_up(self, codes, names):
            asked.append(tuple(names))
            return super().add_up(codes, names)

    space = load_preset("osr_stride")
    prices = Spy(Coding(space.base, space.axes), space.rules)
    costs = Costs(prices, prices.draw(10, np.random.default_rng(0)))
    costs.gmacs, costs.params_m, costs.macs
    assert asked == [("params", "macs")]


def test_a_budget_says_the_same_of_one_and_of_many():
    points = load_preset("osr_stride").enumerate()
    budget = Budget(*(float(np.median(costs)) for costs in (points.costs.gmacs, points.costs.params_m)))
    refusals = [budget.refusal(estimate(points.arch(row))) for row in range(len(points))]
    assert set(refusals) == {None, "over budget.max_gmacs", "over budget.max_params_m"}
    assert budget.admits(points.costs).tolist() == [refusal is None for refusal in refusals]
    assert Budget().admits(points.costs).all()


def _builds(space, labels):
    try:
        space.build(labels)
    except IllegalVariant:
        return False
    return True
