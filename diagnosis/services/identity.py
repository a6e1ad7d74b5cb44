"""Does the file belong to the chosen patient? Compares what the header says, then forgets it.

May import: `mlcore.contracts`, `patients.models`, `patients.text`, `patients.errors`.
"""

from __future__ import annotations

from mlcore.contracts import FileIdentity
from patients.errors import ApplicationError
from patients.models import Patient
from patients.text import search_name


def patient_check(patient: Patient, identity: FileIdentity) -> None:
    """Raise `patient_mismatch` when the file names somebody else; the sentence is for the uploader only.

    Numbers decide where both sides have one: any of the patient's may match, without leading zeros. Otherwise a
    name in the file must be the patient's. Where nothing can be compared the file is accepted.
    """
    numbers = [identifier.value for identifier in patient.identifiers.all()]
    if identity.patient_id and numbers:
        matches = _number(identity.patient_id) in map(_number, numbers)
    elif identity.patient_name:
        matches = _same_name(identity.patient_name, patient.name)
    else:
        return
    if not matches:
        selected = numbers[0] if numbers else patient.name
        says = identity.patient_id or identity.patient_name.replace("^", " ").strip()
        raise ApplicationError("patient_mismatch", file_says=says[:64], selected=selected)


def _number(value: str) -> str:
    text = value.strip().casefold()
    return text.lstrip("0") or text


def _same_name(one: str, other: str) -> bool:
    """Every word of the shorter name stands in the longer one, in any order: VERMA^ASHA^K is Asha Verma."""
    first, second = (set(search_name(name.replace("^", " ")).split()) for name in (one, other))
    shorter, longer = sorted((first, second), key=len)
    return bool(shorter) and shorter <= longer
