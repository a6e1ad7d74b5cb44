"""The second wall's table: which rows of both apps are whose. `patients/row_security.py` explains and applies it.

Coarser than `visible_to` on purpose: whoever works at a clinic passes for all of its rows, a referring doctor for the
patients of referred films, and who opened a clinic in an emergency reads all of it.
May import: `patients.row_security`.
"""

from __future__ import annotations

from patients.row_security import OF_OWN_CLINIC, OF_READ_CLINIC, SYSTEM_ONLY, Rows

_AT_CLINICS = "%s.clinic_id = ANY ((SELECT cxr_clinics())::uuid[])"
_STUDY = "EXISTS (SELECT FROM diagnosis_study s WHERE s.id = {table}.study_id"
_FILM = "EXISTS (SELECT FROM diagnosis_radiograph r WHERE r.id = {table}.radiograph_id"

#: The row that this one hangs on is one that the person may read …
_OF_READABLE_STUDY, _OF_READABLE_FILM = f"{_STUDY})", f"{_FILM})"
_OF_REFERRED_PATIENT = "{table}.%s IN (SELECT cxr_patients_referred_to(cxr_person(), cxr_referral_clinics()))"
_OF_REFERRED_STUDY = "{table}.%s IN (SELECT cxr_studies_referred_to(cxr_person(), cxr_referral_clinics()))"
#: … or belongs to a clinic where the person works; the two agree on the clinic.
_OF_OWN_PATIENT = (
    OF_OWN_CLINIC
    + " AND EXISTS (SELECT FROM patients_patient p WHERE p.id = {table}.patient_id AND p.clinic_id = {table}.clinic_id)"
)
_OF_OWN_STUDY = f"{OF_OWN_CLINIC} AND {_STUDY} AND s.clinic_id = {{table}}.clinic_id)"
_AT_OWN_STUDY = f"{_STUDY} AND {_AT_CLINICS % 's'})"
_AT_OWN_FILM = f"{_FILM} AND {_AT_CLINICS % 'r'})"
_REPORT = "EXISTS (SELECT FROM diagnosis_report d WHERE d.id = {table}.report_id"
_AT_OWN_REPORT = (
    f"{_REPORT} AND EXISTS (SELECT FROM diagnosis_study s WHERE s.id = d.study_id AND {_AT_CLINICS % 's'}))"
)

_BY_THE_PERSON = "{table}.user_id = (SELECT cxr_person())"
_OWN_KEY = f"{_BY_THE_PERSON} AND {OF_OWN_CLINIC}"
#: An event about nobody's record: a sign-in, a refused address.
_ABOUT_NO_PATIENT = "({table}.clinic_id IS NULL AND {table}.patient_id IS NULL)"

RULES: dict[str, Rows] = {
    "patients.Patient": Rows(
        select=f"{OF_READ_CLINIC} OR {_OF_REFERRED_PATIENT % 'id'}", insert=OF_OWN_CLINIC, update=OF_OWN_CLINIC
    ),
    "patients.PatientIdentifier": Rows(
        select=f"{OF_READ_CLINIC} OR {_OF_REFERRED_PATIENT % 'patient_id'}",
        insert=_OF_OWN_PATIENT,
        update=_OF_OWN_PATIENT,
        delete=OF_OWN_CLINIC,
    ),
    # Append only: nobody changes or removes a decision.
    "patients.Consent": Rows(
        select=f"{OF_READ_CLINIC} OR {_OF_REFERRED_PATIENT % 'patient_id'}", insert=_OF_OWN_PATIENT
    ),
    "patients.LegalHold": Rows(select=OF_OWN_CLINIC, insert=_OF_OWN_PATIENT),
    # The person's own; those of a clinic are its administrator's to read.
    "patients.BreakGlass": Rows(
        select=f"{OF_OWN_CLINIC} OR {_BY_THE_PERSON}", insert=_BY_THE_PERSON, update=_BY_THE_PERSON
    ),
    "patients.AuditEvent": Rows(
        select=f"{OF_OWN_CLINIC} OR {_BY_THE_PERSON} OR {_ABOUT_NO_PATIENT}",
        insert=f"(SELECT cxr_reads_all()) OR {_BY_THE_PERSON} OR {_ABOUT_NO_PATIENT}",
    ),
    "patients.AuditSeal": Rows(select=SYSTEM_ONLY, insert=SYSTEM_ONLY),
    "diagnosis.Study": Rows(
        select=f"{OF_READ_CLINIC} OR {_OF_REFERRED_STUDY % 'id'}",
        insert=_OF_OWN_PATIENT,
        update=_OF_OWN_PATIENT,
    ),
    "diagnosis.StudyMove": Rows(select=OF_READ_CLINIC, insert=_OF_OWN_STUDY, update=OF_OWN_CLINIC),
    "diagnosis.Radiograph": Rows(
        select=f"{OF_READ_CLINIC} OR {_OF_REFERRED_STUDY % 'study_id'}", insert=_OF_OWN_STUDY, update=_OF_OWN_STUDY
    ),
    # An administrator, too, may ask for another try.
    "diagnosis.Job": Rows(
        select=_OF_READABLE_FILM, insert=_AT_OWN_FILM, update=f"(SELECT cxr_reads_all()) OR {_AT_OWN_FILM}"
    ),
    "diagnosis.FilmExpiry": Rows(select=_OF_READABLE_FILM, insert=SYSTEM_ONLY),
    "diagnosis.StudyRemoval": Rows(select=OF_OWN_CLINIC, insert=_OF_OWN_STUDY, update=OF_OWN_CLINIC),
    "diagnosis.Prediction": Rows(select=_OF_READABLE_FILM, insert=SYSTEM_ONLY),
    "diagnosis.Finding": Rows(
        select="EXISTS (SELECT FROM diagnosis_prediction p WHERE p.id = {table}.prediction_id)", insert=SYSTEM_ONLY
    ),
    # What closes it is the signature, in whoever's name that is written.
    "diagnosis.Reading": Rows(select=OF_READ_CLINIC, insert=_OF_OWN_STUDY, update=OF_OWN_CLINIC),
    # What is deleted is a draft: a trigger keeps signed ones from everybody.
    "diagnosis.Report": Rows(
        select=_OF_READABLE_STUDY, insert=_AT_OWN_STUDY, update=_AT_OWN_STUDY, delete=_AT_OWN_STUDY
    ),
    "diagnosis.ReportedFinding": Rows(
        select=f"{_REPORT})", insert=_AT_OWN_REPORT, update=_AT_OWN_REPORT, delete=_AT_OWN_REPORT
    ),
    # Append only: nobody changes what was taken out, and by whom.
    "diagnosis.ReportExport": Rows(select=OF_OWN_CLINIC, insert=_OWN_KEY),
    "diagnosis.FirstImpression": Rows(select=_OF_READABLE_STUDY, insert=_AT_OWN_STUDY),
    # The doctor to whom the study was referred acknowledges, too; mails are sent by the sweeper.
    "diagnosis.CriticalAlert": Rows(
        select=f"{OF_READ_CLINIC} OR {_OF_REFERRED_STUDY % 'study_id'}",
        insert=_OF_OWN_STUDY,
        update=f"{OF_OWN_CLINIC} OR {_OF_REFERRED_STUDY % 'study_id'}",
    ),
    "diagnosis.AlertMail": Rows(
        select=f"{OF_READ_CLINIC} OR {_OF_REFERRED_STUDY % 'study_id'}", insert=_OF_OWN_STUDY, update=SYSTEM_ONLY
    ),
    "diagnosis.Discordance": Rows(select=OF_OWN_CLINIC, insert=_OF_OWN_STUDY, update=OF_OWN_CLINIC),
    "diagnosis.Distribution": Rows(select=OF_OWN_CLINIC, insert=SYSTEM_ONLY, update=SYSTEM_ONLY, delete=SYSTEM_ONLY),
    # Thresholds that hold everywhere come with the model; those of a clinic are its own people's.
    "diagnosis.OperatingPoint": Rows(
        select=f"{{table}}.clinic_id IS NULL OR {OF_OWN_CLINIC}",
        insert=OF_OWN_CLINIC,
        update=OF_OWN_CLINIC,
        delete=OF_OWN_CLINIC,
    ),
    "diagnosis.ThresholdChange": Rows(select=OF_OWN_CLINIC, insert=f"{_BY_THE_PERSON} AND {OF_OWN_CLINIC}"),
    "diagnosis.UploadKey": Rows(select=_OWN_KEY, insert=_OWN_KEY, delete=SYSTEM_ONLY),
}

#: Leads to a clinic and holds nothing of a patient.
EXEMPT: dict[str, str] = {
    "patients.Clinic": "names and settings of clinics; without them no membership can be shown",
    "patients.DataPolicy": "rules of clinics",
    "patients.Membership": "who works where; the policies themselves read it",
    "diagnosis.ReportSettings": "language and sentences of a clinic's reports, the same for every patient",
}

#: Without patient data, and never changed.
APPEND_ONLY = frozenset({"diagnosis.ModelChange"})
