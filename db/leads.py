"""Who leads a study: one driver at a time, by a row that it renews and that each of its writes looks at."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db import queries
from db.faults import LeadLost
from db.records import LeadRecord
from db.rows import columns_of, lead_record
from db.schema import LeadRow
from db.writes import now


def read(session: Session, study: str) -> LeadRecord | None:
    """Who leads the study, with the time since it was last heard of."""
    row = session.get(LeadRow, study)
    return None if row is None else lead_record(row, _clock(session))


def take(session: Session, lead: LeadRecord, instead_of: LeadRecord | None) -> LeadRecord:
    """Lead, unless somebody does who is not as `instead_of` was read; gives whose the lead is then."""
    columns = {**columns_of(lead), "renewed_at": _clock(session)}
    row = None
    while row is None:  # whoever led may give up just now
        session.execute(queries.insert_or_keep(session.get_bind().dialect.name, LeadRow), columns)
        row = session.get(LeadRow, lead.study, with_for_update=True)
    if instead_of and (row.holder, row.renewed_at) == (instead_of.holder, instead_of.renewed_at):
        for name, value in columns.items():
            setattr(row, name, value)
        session.flush()
    return lead_record(row, _clock(session))


def require(session: Session, lead: LeadRecord) -> LeadRow:
    """The lead's row, nobody else's until the transaction ends; raises LeadLost if another driver has it."""
    row = session.get(LeadRow, lead.study, with_for_update=True)
    if row is None or row.holder != lead.holder:
        other = "nobody" if row is None else lead_record(row, _clock(session)).who
        raise LeadLost(
            f"a study is run by one sweep, but {lead.study} is led by {other} now: this one was not heard of for too "
            f"long; the other goes on with all that was acknowledged"
        )
    return row


def renew(session: Session, lead: LeadRecord) -> None:
    """Say that the driver lives; raises LeadLost if another has the lead."""
    require(session, lead).renewed_at = _clock(session)


def give_up(session: Session, lead: LeadRecord) -> None:
    """Delete the lead if it is still this driver's."""
    session.execute(delete(LeadRow).where(LeadRow.study == lead.study, LeadRow.holder == lead.holder))


def _clock(session: Session) -> datetime:
    """The database's time: hosts' clocks may differ. A SQLite file has none, nor other hosts."""
    if session.get_bind().dialect.name == "sqlite":
        return now()
    moment: datetime = session.scalars(select(func.clock_timestamp())).one()
    return moment
