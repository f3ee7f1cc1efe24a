"""The record of all sweeps: studies, architectures, latencies, trials, epochs and artifacts in one database.

`Store` is the door; it takes and gives the frozen records named here. It knows no other house of the project.
"""

from db.names import check_name
from db.records import (
    ArchitectureRecord,
    ArtifactRecord,
    EpochRecord,
    Json,
    LatencyRecord,
    Provenance,
    StudyRecord,
    TrialRecord,
    TrialState,
)
from db.storage import StorageConfig
from db.store import Store
from db.summary import Ending, StudySummary

__all__ = [
    "ArchitectureRecord",
    "ArtifactRecord",
    "Ending",
    "EpochRecord",
    "Json",
    "LatencyRecord",
    "Provenance",
    "StorageConfig",
    "Store",
    "StudyRecord",
    "StudySummary",
    "TrialRecord",
    "TrialState",
    "check_name",
]
