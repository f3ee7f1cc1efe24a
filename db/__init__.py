"""The record of all sweeps: studies, architectures, latencies, trials, epochs and artifacts in one database.

`Store` is the door; it takes and gives the frozen records named here. It knows no other house of the project.
"""

from db.faults import LeadLost, RecordAway, RecordDamaged, RecordFault, RecordFull
from db.names import check_name
from db.precheck import check_database, check_study
from db.recorder import Recorder
from db.records import (
    ArchitectureRecord,
    ArtifactRecord,
    EpochRecord,
    Json,
    LatencyRecord,
    LeadRecord,
    Provenance,
    StudyRecord,
    TrialEnd,
    TrialRecord,
    TrialStart,
    TrialState,
)
from db.spool import Spool
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
    "LeadLost",
    "LeadRecord",
    "Provenance",
    "RecordAway",
    "RecordDamaged",
    "RecordFault",
    "RecordFull",
    "Recorder",
    "Spool",
    "StorageConfig",
    "Store",
    "StudyRecord",
    "StudySummary",
    "TrialEnd",
    "TrialRecord",
    "TrialStart",
    "TrialState",
    "check_database",
    "check_name",
    "check_study",
]
