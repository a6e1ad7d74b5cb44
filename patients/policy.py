"""Who may do what, and how far it reaches: the whole policy in one table. `patients.access` answers from it.

`MATRIX` is action → role → reach. What is not in the table is allowed to nobody. May import: the standard library only.
"""

from __future__ import annotations

from enum import StrEnum

OPERATOR, RADIOGRAPHER, RADIOLOGIST, DOCTOR, CLINIC_ADMIN, CLIENT = (
    "operator",
    "radiographer",
    "radiologist",
    "doctor",
    "clinicadmin",
    "client",
)
#: Not a membership: a Django superuser, who runs the system and reads no patient's record.
SYSTEM = "system"


class Reach(StrEnum):
    """Which rows of a clinic an action reaches."""

    CLINIC = "clinic"  # all
    POLICY = "policy"  # all, where the clinic shows unread results
    ASSIGNED = "assigned"  # studies referred to the person, and the same patient's earlier ones
    ASSIGNED_SIGNED = "assigned, signed"  # of these, the ones with a signed report
    OWN = "own"  # what it created
    OWN_SIGNED = "own, signed"
    EVERYWHERE = "everywhere"  # of every clinic, without a patient's data


class Action(StrEnum):
    """Everything that can be permitted."""

    PATIENT_CREATE = "patient.create"
    PATIENT_VIEW = "patient.view"
    PATIENT_EDIT = "patient.edit"
    CONSENT_RECORD = "consent.record"
    RETENTION_VIEW = "retention.view"
    LEGAL_HOLD = "legal_hold.record"
    STUDY_UPLOAD = "study.upload"
    STUDY_STATUS = "study.status"
    STUDY_MOVE_REQUEST = "study.move_request"
    STUDY_MOVE_APPROVE = "study.move_approve"
    STUDY_DELETE_REQUEST = "study.delete_request"
    STUDY_DELETE_APPROVE = "study.delete_approve"
    IMAGE_VIEW = "image.view"
    PREDICTION_VIEW = "prediction.view"
    READING_CLAIM = "reading.claim"
    REPORT_WRITE = "report.write"
    REPORT_SIGN = "report.sign"
    REPORT_VIEW = "report.view"
    ALERT_ACKNOWLEDGE = "alert.acknowledge"
    SECOND_LOOK = "second_look"
    REPORT_SETTINGS = "report.settings"
    JOB_RETRY = "job.retry"
    MEMBER_MANAGE = "member.manage"
    CLIENT_MANAGE = "client.manage"
    CLIENT_REVOKE = "client.revoke"
    CLINIC_MANAGE = "clinic.manage"
    MODEL_REGISTER = "model.register"
    MODEL_REQUEST = "model.request"
    MODEL_APPROVE = "model.approve"
    MODEL_ACTIVATE = "model.activate"
    THRESHOLD_VIEW = "threshold.view"
    THRESHOLD_PROPOSE = "threshold.propose"
    THRESHOLD_APPROVE = "threshold.approve"
    EXPORT_REASONED = "export.reasoned"
    EXPORT_DEIDENTIFIED = "export.deidentified"
    BREAK_GLASS_VIEW = "break_glass.view"
    AUDIT_VIEW = "audit.view"
    AUDIT_VIEW_OWN = "audit.view_own"
    NUMBERS_VIEW = "numbers.view"


def _clinic(*roles: str) -> dict[str, Reach]:
    return dict.fromkeys(roles, Reach.CLINIC)


MATRIX: dict[Action, dict[str, Reach]] = {
    Action.PATIENT_CREATE: _clinic(OPERATOR, RADIOGRAPHER, CLIENT),
    Action.PATIENT_VIEW: _clinic(OPERATOR, RADIOGRAPHER, RADIOLOGIST) | {DOCTOR: Reach.ASSIGNED, CLIENT: Reach.OWN},
    Action.PATIENT_EDIT: _clinic(OPERATOR, RADIOGRAPHER),
    Action.CONSENT_RECORD: _clinic(OPERATOR, RADIOGRAPHER),
    Action.RETENTION_VIEW: _clinic(CLINIC_ADMIN),
    Action.LEGAL_HOLD: _clinic(CLINIC_ADMIN),
    Action.STUDY_UPLOAD: _clinic(OPERATOR, RADIOGRAPHER, RADIOLOGIST, CLIENT),
    Action.STUDY_STATUS: _clinic(OPERATOR, RADIOGRAPHER, RADIOLOGIST, CLINIC_ADMIN)
    | {DOCTOR: Reach.ASSIGNED, CLIENT: Reach.OWN},
    Action.STUDY_MOVE_REQUEST: _clinic(RADIOGRAPHER),
    Action.STUDY_MOVE_APPROVE: _clinic(RADIOLOGIST, CLINIC_ADMIN),
    Action.STUDY_DELETE_REQUEST: _clinic(CLINIC_ADMIN),
    Action.STUDY_DELETE_APPROVE: {SYSTEM: Reach.EVERYWHERE},
    Action.IMAGE_VIEW: _clinic(RADIOLOGIST)
    | {
        OPERATOR: Reach.POLICY,
        RADIOGRAPHER: Reach.POLICY,
        DOCTOR: Reach.ASSIGNED_SIGNED,
        CLIENT: Reach.OWN,
    },
    Action.PREDICTION_VIEW: _clinic(RADIOLOGIST)
    | {
        OPERATOR: Reach.POLICY,
        RADIOGRAPHER: Reach.POLICY,
        DOCTOR: Reach.ASSIGNED_SIGNED,
        CLIENT: Reach.OWN_SIGNED,
    },
    Action.READING_CLAIM: _clinic(RADIOLOGIST),
    Action.REPORT_WRITE: _clinic(RADIOLOGIST),
    Action.REPORT_SIGN: _clinic(RADIOLOGIST),
    Action.REPORT_VIEW: _clinic(RADIOGRAPHER, RADIOLOGIST) | {DOCTOR: Reach.ASSIGNED, CLIENT: Reach.OWN},
    Action.ALERT_ACKNOWLEDGE: _clinic(RADIOGRAPHER, RADIOLOGIST) | {DOCTOR: Reach.ASSIGNED},
    Action.SECOND_LOOK: _clinic(RADIOLOGIST),
    Action.REPORT_SETTINGS: _clinic(RADIOLOGIST, CLINIC_ADMIN),
    Action.JOB_RETRY: _clinic(RADIOLOGIST, CLINIC_ADMIN) | {SYSTEM: Reach.EVERYWHERE},
    Action.MEMBER_MANAGE: _clinic(CLINIC_ADMIN) | {SYSTEM: Reach.EVERYWHERE},
    Action.CLIENT_MANAGE: _clinic(CLINIC_ADMIN),
    Action.CLIENT_REVOKE: _clinic(CLINIC_ADMIN) | {SYSTEM: Reach.EVERYWHERE},
    Action.CLINIC_MANAGE: {SYSTEM: Reach.EVERYWHERE},
    Action.MODEL_REGISTER: {SYSTEM: Reach.EVERYWHERE},
    Action.MODEL_REQUEST: _clinic(CLINIC_ADMIN),
    Action.MODEL_APPROVE: _clinic(RADIOLOGIST),
    Action.MODEL_ACTIVATE: {SYSTEM: Reach.EVERYWHERE},
    Action.THRESHOLD_VIEW: _clinic(RADIOLOGIST, CLINIC_ADMIN),
    Action.THRESHOLD_PROPOSE: _clinic(RADIOLOGIST, CLINIC_ADMIN),
    Action.THRESHOLD_APPROVE: _clinic(RADIOLOGIST),
    Action.EXPORT_REASONED: _clinic(RADIOLOGIST),
    Action.EXPORT_DEIDENTIFIED: _clinic(CLINIC_ADMIN),
    Action.BREAK_GLASS_VIEW: _clinic(CLINIC_ADMIN),
    Action.AUDIT_VIEW: _clinic(CLINIC_ADMIN) | {SYSTEM: Reach.EVERYWHERE},
    Action.AUDIT_VIEW_OWN: _clinic(RADIOLOGIST, DOCTOR),
    Action.NUMBERS_VIEW: _clinic(RADIOLOGIST, CLINIC_ADMIN),
}


class Scope(StrEnum):
    """What a clinic administrator gives an API client beyond reading what it created."""

    PATIENT_WRITE = "patient:write"
    STUDY_UPLOAD = "study:upload"
    IMAGE_READ = "image:read"


#: An API client needs the scope for the action; what stands here under no scope needs none.
SCOPES: dict[Action, Scope] = {
    Action.PATIENT_CREATE: Scope.PATIENT_WRITE,
    Action.STUDY_UPLOAD: Scope.STUDY_UPLOAD,
    Action.IMAGE_VIEW: Scope.IMAGE_READ,
}


#: What somebody who broke the glass may do at that clinic for an hour, and who may break it: reading, never changing.
BREAK_GLASS = frozenset(
    {
        Action.PATIENT_VIEW,
        Action.STUDY_STATUS,
        Action.IMAGE_VIEW,
        Action.PREDICTION_VIEW,
        Action.REPORT_VIEW,
    }
)
BREAK_GLASS_ROLES = frozenset({RADIOLOGIST, SYSTEM})
