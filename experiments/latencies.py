"""The targets' latencies of a sweep: each measured once, before its trials start, and kept in the record. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from db import LatencyRecord, Recorder, Store
from transxnet.arch import ArchConfig
from transxnet.cost import Latency, LatencySettings

Measure = Callable[[ArchConfig], Latency]


class Latencies:
    """Latency of each target by one set of settings: from the record, or measured and kept there at once."""

    def __init__(
        self,
        store: Store,
        recorder: Recorder,
        settings: LatencySettings,
        measure: Measure,
        tell: Callable[[str], None],
    ) -> None:
        """With the patience of the recorder. `tell` gets a line when measuring begins and one for each network."""
        self._store, self._recorder, self._settings = store, recorder, settings
        self._measure, self._tell = measure, tell
        self._known: dict[str, float] = {}  # ms, by id of the architecture

    def take_up(self, archs: Sequence[ArchConfig]) -> None:
        """Measure those that the record does not know, in this order; their rows must be stored."""
        missing = [arch for arch in archs if not self._is_known(arch)]
        if missing:
            networks = f"{len(missing)} network{'s' * (len(missing) > 1)}"
            self._tell(f"measuring the latency of {networks}: {self._settings.describe()}")
        for place, arch in enumerate(missing, start=1):
            found = self._measure(arch)
            self._known[arch.id] = self._keep(self._record(arch, found)).p50_ms
            spread = f"({found.p10_ms:.2f} to {found.p90_ms:.2f})"
            self._tell(f"{place}/{len(missing)}".rjust(7) + f"  {found.p50_ms:.2f} ms {spread}")

    def of(self, arch: ArchConfig) -> float:
        """Median milliseconds a batch."""
        self.take_up([arch])
        return self._known[arch.id]

    def _is_known(self, arch: ArchConfig) -> bool:
        if arch.id not in self._known:
            stored = self._recorder.patiently(lambda: self._store.find_latency(arch.id, self._settings.key))
            if stored is None:
                return False
            self._known[arch.id] = stored.p50_ms
        return True

    def _keep(self, found: LatencyRecord) -> LatencyRecord:
        return self._recorder.patiently(lambda: self._store.add_latency(found))

    def _record(self, arch: ArchConfig, found: Latency) -> LatencyRecord:
        times = (found.p10_ms, found.p50_ms, found.p90_ms)
        return LatencyRecord(arch.id, self._settings.key, *times, found.repeats, self._settings.to_dict())
