"""Where what was trained costs, beside the baseline, otherwise than the targets whose costs are told."""

from __future__ import annotations

import pandas as pd

RELATION = 0.1
"""How much more or less than its target, beside the baseline's, a proxy may cost before it is told."""


def proxy_sentence(frame: pd.DataFrame) -> str:
    """Names the variant whose proxy is most unlike its target in cost; empty if none is by more than RELATION."""
    known = frame.dropna(subset=["gmacs", "proxy_gmacs"])
    own = known[known["is_baseline"]]
    if own.empty:
        return ""
    targets = (known["gmacs"] / own["gmacs"].iloc[0]).tolist()
    proxies = (known["proxy_gmacs"] / own["proxy_gmacs"].iloc[0]).tolist()
    unlike = [abs(proxy / target - 1) for target, proxy in zip(targets, proxies, strict=True)]
    worst = max(range(len(unlike)), key=unlike.__getitem__)
    if unlike[worst] <= RELATION:
        return ""
    return (
        f"Accuracies are those of the proxies, which may cost otherwise beside the baseline's than their targets: "
        f"{known['label'].iloc[worst]} has {proxies[worst] - 1:+.0%} multiply-adds as trained, "
        f"{targets[worst] - 1:+.0%} as target."
    )
