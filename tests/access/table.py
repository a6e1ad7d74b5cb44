"""Who gets which answer from which address: the expectation table of the access matrix.

One line per method and address, one column per role, at objects of the person's own clinic. What belongs to another
clinic answers 404 to everybody who is signed in (or the same 403 that the role meets at home). Anonymous visitors are
sent to sign in (302) or told 401. An address that is missing here fails `tests/access/test_matrix.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

#: `assigned` is the doctor to whom the studies were referred, `sender` the API client that sent them, with every scope.
ROLES = (
    "anonymous",
    "operator",
    "radiographer",
    "radiologist",
    "doctor",
    "assigned",
    "clinicadmin",
    "system",
    "client",
    "sender",
)

#: The clinic hides unread results and no report is signed.
PAGES = """
#                                                              anon oper radg radl doct asgn cadm syst clnt sndr
GET   /                                                         302  200  200  200  302  302  302  302  200  200
POST  /                                                         302  400  400  400  403  403  403  403  404  400
POST  /send/patient/                                            302  200  200  200  200  200  200  200  200  200
GET   /films/                                                   302  200  200  200  200  200  200  200  200  200
GET   /worklist/                                                302  403  403  200  403  403  403  403  403  403
POST  /worklist/views/                                          302  403  403  302  403  403  403  403  403  403
POST  /worklist/views/remove/                                   302  403  403  302  403  403  403  403  403  403
GET   /worklist/<uuid:study_id>/                                302  403  403  200  404  403  403  404  404  403
POST  /worklist/<uuid:study_id>/claim/                          302  403  403  302  404  403  403  404  404  403
POST  /worklist/<uuid:study_id>/release/                        302  403  403  302  404  403  403  404  404  403
GET   /patients/                                                302  200  200  200  200  200  200  200  200  200
POST  /patients/                                                302  200  200  200  200  200  200  200  200  200
GET   /patients/new/                                            302  200  200  403  403  403  403  403  200  200
POST  /patients/new/                                            302  302  302  403  403  403  403  403  302  302
GET   /patients/<uuid:patient_id>/                              302  200  200  200  404  200  404  404  404  200
GET   /patients/<uuid:patient_id>/edit/                         302  200  200  403  404  403  404  404  404  403
POST  /patients/<uuid:patient_id>/edit/                         302  302  302  403  404  403  404  404  404  403
POST  /patients/<uuid:patient_id>/consents/                     302  302  302  403  404  403  404  404  404  403
POST  /patients/<uuid:patient_id>/identifiers/                  302  302  302  403  404  403  404  404  404  403
POST  /patients/<uuid:patient_id>/identifiers/<int:identifier_id>/remove/ 302 302 302 403 404 403 404 404 404 403
GET   /emergency/                                               302  403  403  200  403  403  403  200  403  403
POST  /emergency/                                               302  403  403  400  403  403  403  302  403  403
GET   /emergency/uses/                                          302  403  403  403  403  403  200  403  403  403
POST  /emergency/<uuid:use_id>/end/                             302  404  404  404  404  404  404  302  404  404
GET   /people/                                                  302  403  403  403  403  403  200  403  403  403
GET   /people/new/                                              302  403  403  403  403  403  200  403  403  403
POST  /people/new/                                              302  403  403  403  403  403  200  403  403  403
GET   /people/<uuid:clinic_id>/<int:person_id>/                 302  403  403  403  403  403  200  404  403  403
POST  /people/<uuid:clinic_id>/<int:person_id>/                 302  403  403  403  403  403  302  404  403  403
POST  /people/<uuid:clinic_id>/<int:person_id>/link/            302  403  403  403  403  403  200  404  403  403
POST  /people/<uuid:clinic_id>/<int:person_id>/end/             302  403  403  403  403  403  302  404  403  403
GET   /people/programs/new/                                     302  403  403  403  403  403  200  403  403  403
POST  /people/programs/new/                                     302  403  403  403  403  403  200  403  403  403
GET   /people/<uuid:clinic_id>/programs/<int:client_id>/        302  403  403  403  403  403  200  404  403  403
POST  /people/<uuid:clinic_id>/programs/<int:client_id>/        302  403  403  403  403  403  302  404  403  403
POST  /people/<uuid:clinic_id>/programs/<int:client_id>/token/  302  403  403  403  403  403  200  404  403  403
POST  /people/<uuid:clinic_id>/programs/<int:client_id>/end/    302  403  403  403  403  403  302  404  403  403
GET   /studies/<uuid:study_id>/                                 302  200  200  200  404  200  200  404  404  200
GET   /studies/<uuid:study_id>/status/                          302  200  200  200  404  200  200  404  404  200
GET   /studies/<uuid:study_id>/read/                            302  403  403  200  404  403  403  404  404  403
POST  /studies/<uuid:study_id>/read/                            302  403  403  302  404  403  403  404  404  403
POST  /studies/<uuid:study_id>/read/first/                      302  403  403  302  404  403  403  404  404  403
POST  /studies/<uuid:study_id>/read/decide/                     302  403  403  302  404  403  403  404  404  403
POST  /studies/<uuid:study_id>/read/draft/                      302  403  403  302  404  403  403  404  404  403
POST  /studies/<uuid:study_id>/read/normal/                     302  403  403  409  404  403  403  404  404  403
POST  /studies/<uuid:study_id>/read/preliminary/                302  403  403  302  404  403  403  404  404  403
POST  /studies/<uuid:study_id>/read/sign/                       302  403  403  302  404  403  403  404  404  403
POST  /studies/<uuid:study_id>/read/step/                       302  403  403  302  404  403  403  404  404  403
GET   /studies/<uuid:study_id>/read/discard/                    302  403  403  200  404  403  403  404  404  403
POST  /studies/<uuid:study_id>/read/discard/                    302  403  403  409  404  403  403  404  404  403
GET   /studies/<uuid:study_id>/report/                          302  403  200  200  404  200  403  404  404  200
GET   /studies/<uuid:study_id>/report/pdf/                      302  403  404  404  404  404  403  404  404  404
POST  /studies/<uuid:study_id>/report/amend/                    302  403  403  409  404  403  403  404  404  403
POST  /studies/<uuid:study_id>/report/acknowledge/              302  403  302  302  404  302  403  404  404  403
GET   /moves/                                                   302  403  200  200  403  403  200  403  403  403
POST  /moves/<uuid:move_id>/decide/                             302  403  403  302  404  404  302  404  404  404
POST  /studies/<uuid:study_id>/move/                            302  403  302  403  404  403  403  404  404  403
GET   /second-look/                                             302  403  403  200  403  403  403  403  403  403
POST  /second-look/<uuid:discordance_id>/                       302  404  404  302  404  404  404  404  404  404
GET   /follow-up/                                               302  403  200  200  200  200  403  403  403  403
GET   /studies/<uuid:study_id>/view/                            302  403  403  200  404  403  403  404  404  200
GET   /studies/<uuid:study_id>/view/films/                      302  403  403  200  404  403  403  404  404  200
GET   /clinics/<uuid:clinic_id>/report/                         302  403  403  200  403  403  200  404  403  403
POST  /clinics/<uuid:clinic_id>/report/                         302  403  403  302  403  403  302  404  403  403
POST  /jobs/<uuid:job_id>/retry/                                302  403  403  302  404  403  302  404  404  403
GET   /images/<uuid:radiograph_id>/                             302  403  403  200  404  403  403  404  404  200
GET   /images/<uuid:radiograph_id>/reading/                     302  403  403  200  404  403  403  404  404  200
GET   /images/<uuid:prediction_id>/map/<slug:label>/            302  404  404  200  404  404  404  404  404  404
GET   /audit/                                                   302  403  403  200  200  200  200  403  403  403
POST  /audit/patient/                                           302  403  403  403  403  403  302  403  403  403
GET   /audit/patients/<uuid:patient_id>/                        302  403  403  403  404  403  200  404  404  403
GET   /audit/patients/<uuid:patient_id>/print/                  302  403  403  403  404  403  200  404  404  403
GET   /audit/patients/<uuid:patient_id>/csv/                    302  403  403  403  404  403  200  404  404  403
GET   /audit/patients/<uuid:patient_id>/history/                302  403  403  200  404  200  200  404  404  403
GET   /audit/studies/<uuid:study_id>/history/                   302  403  403  200  404  200  200  404  404  403
POST  /retention/removals/                                      302  403  403  403  403  403  400  403  403  403
POST  /retention/removals/<uuid:removal_id>/                    302  404  404  404  404  404  302  404  404  404
GET   /retention/                                               302  403  403  403  403  403  200  403  403  403
GET   /exports/                                                 302  403  403  200  403  403  200  403  403  403
POST  /exports/                                                 302  403  403  200  403  403  403  403  403  403
GET   /status/                                                  302  200  200  200  200  200  200  200  200  200
GET   /models/                                                  302  200  200  200  200  200  200  200  200  200
GET   /models/<uuid:model_id>/                                  302  200  200  200  200  200  200  200  200  200
GET   /models/<uuid:model_id>/figures/<slug:figure>.svg         302  200  200  200  200  200  200  200  200  200
GET   /numbers/                                                 302  403  403  200  403  403  200  403  403  403
GET   /numbers/csv/                                             302  403  403  200  403  403  200  403  403  403
GET   /models/<uuid:model_id>/compare/                          302  403  403  403  403  403  403  200  403  403
GET   /models/<uuid:model_id>/thresholds/                       302  403  403  200  403  403  200  403  403  403
POST  /models/<uuid:model_id>/thresholds/propose/               302  403  403  409  403  403  409  403  403  403
POST  /models/<uuid:model_id>/thresholds/decide/                302  403  403  302  403  403  403  403  403  403
POST  /models/<uuid:model_id>/thresholds/restore/               302  403  403  302  403  403  302  403  403  403
GET   /about/                                                   302  200  200  200  200  200  200  200  200  200
GET   /livez                                                    200  200  200  200  200  200  200  200  200  200
GET   /readyz                                                   200  200  200  200  200  200  200  200  200  200
GET   /progressz                                                200  200  200  200  200  200  200  200  200  200
GET   /metrics                                                  404  404  404  404  404  404  404  200  404  404
"""

API = """
#                                                              anon oper radg radl doct asgn cadm syst clnt sndr
GET   /api/v1/me/                                               401  200  200  200  200  200  200  200  200  200
GET   /api/v1/patients/                                         401  200  200  200  200  200  200  200  200  200
POST  /api/v1/patients/                                         401  201  201  403  403  403  403  403  201  201
POST  /api/v1/patients/matches/                                 401  200  200  403  403  403  403  403  200  200
GET   /api/v1/patients/<str:id>/                                401  200  200  200  404  200  404  404  404  200
PATCH /api/v1/patients/<str:id>/                                401  200  200  403  404  403  404  404  404  403
POST  /api/v1/patients/<str:id>/identifiers/                    401  201  201  403  404  403  404  404  404  403
GET   /api/v1/patients/<str:id>/consents/                       401  200  200  200  404  200  404  404  404  200
POST  /api/v1/patients/<str:id>/consents/                       401  201  201  403  404  403  404  404  404  403
GET   /api/v1/patients/<str:id>/history/                        401  200  200  200  404  200  404  404  404  200
GET   /api/v1/studies/                                          401  200  200  200  200  200  200  200  200  200
POST  /api/v1/studies/                                          401  201  201  201  403  403  403  403  404  201
GET   /api/v1/studies/<str:id>/                                 401  200  200  200  404  200  200  404  404  200
POST  /api/v1/studies/<str:id>/radiographs/                     401  201  201  201  404  403  403  404  404  201
GET   /api/v1/worklist/                                         401  403  403  200  403  403  403  403  403  403
POST  /api/v1/worklist/<str:id>/claim/                          401  403  403  200  404  403  403  404  404  403
POST  /api/v1/worklist/<str:id>/release/                        401  403  403  200  404  403  403  404  404  403
GET   /api/v1/radiographs/                                      401  200  200  200  200  200  200  200  200  200
GET   /api/v1/radiographs/<str:id>/                             401  200  200  200  404  200  200  404  404  200
GET   /api/v1/radiographs/<str:id>/image/                       401  403  403  200  404  403  403  404  404  200
GET   /api/v1/jobs/                                             401  200  200  200  200  200  200  200  200  200
GET   /api/v1/jobs/<str:id>/                                    401  200  200  200  404  200  200  404  404  200
POST  /api/v1/jobs/<str:id>/retry/                              401  403  403  200  404  403  200  404  404  403
POST  /api/v1/jobs/<str:id>/cancel/                             401  403  403  200  404  403  200  404  404  403
GET   /api/v1/predictions/                                      401  200  200  200  200  200  200  200  200  200
GET   /api/v1/predictions/<str:id>/                             401  404  404  200  404  404  404  404  404  404
GET   /api/v1/predictions/<str:id>/map/<str:label>/             401  404  404  200  404  404  404  404  404  404
GET   /api/v1/reports/                                          401  200  200  200  200  200  200  200  200  200
POST  /api/v1/reports/                                          401  403  403  200  403  403  403  403  403  403
GET   /api/v1/reports/<str:id>/                                 401  404  404  200  404  404  404  404  404  404
PATCH /api/v1/reports/<str:id>/                                 401  404  404  200  404  404  404  404  404  404
POST  /api/v1/reports/<str:id>/decide/                          401  404  404  200  404  404  404  404  404  404
POST  /api/v1/reports/<str:id>/preliminary/                     401  404  404  200  404  404  404  404  404  404
POST  /api/v1/reports/<str:id>/sign/                            401  404  404  403  404  404  404  404  404  404
POST  /api/v1/reports/<str:id>/amend/                           401  404  404  409  404  404  404  404  404  404
GET   /api/v1/alerts/                                           401  200  200  200  200  200  200  200  200  200
GET   /api/v1/alerts/<str:id>/                                  401  404  200  200  404  200  404  404  404  200
POST  /api/v1/alerts/<str:id>/acknowledge/                      401  404  200  200  404  200  404  404  404  403
POST  /api/v1/first-impressions/                                401  403  403  200  403  403  403  403  403  403
GET   /api/v1/model-versions/                                   401  200  200  200  200  200  200  200  200  200
GET   /api/v1/model-versions/<str:id>/                          401  200  200  200  200  200  200  200  200  200
GET   /api/v1/status/                                           401  200  200  200  200  200  200  200  200  200
GET   /api/v1/schema/                                           401  200  200  200  200  200  200  200  200  200
GET   /api/v1/docs/                                             302  302  302  302  302  302  302  302  302  302
"""

#: A report of the study is signed: the doctor to whom it was referred sees image and result.
SIGNED = """
GET   /studies/<uuid:study_id>/                                 302  200  200  200  404  200  200  404  404  200
GET   /studies/<uuid:study_id>/report/                          302  403  200  200  404  200  403  404  404  200
GET   /studies/<uuid:study_id>/read/                            302  403  403  302  404  403  403  404  404  403
GET   /studies/<uuid:study_id>/report/pdf/                      302  403  200  200  404  200  403  404  404  200
POST  /studies/<uuid:study_id>/report/amend/                    302  403  403  302  404  403  403  404  404  403
GET   /api/v1/reports/<str:id>/                                 401  404  200  200  404  200  404  404  404  200
PATCH /api/v1/reports/<str:id>/                                 401  404  403  409  404  403  404  404  404  403
POST  /api/v1/reports/<str:id>/amend/                           401  404  403  201  404  403  404  404  404  403
GET   /studies/<uuid:study_id>/view/                            302  403  403  200  404  200  403  404  404  200
GET   /studies/<uuid:study_id>/view/films/                      302  403  403  200  404  200  403  404  404  200
GET   /images/<uuid:radiograph_id>/                             302  403  403  200  404  200  403  404  404  200
GET   /images/<uuid:radiograph_id>/reading/                     302  403  403  200  404  200  403  404  404  200
GET   /images/<uuid:prediction_id>/map/<slug:label>/            302  404  404  200  404  200  404  404  404  200
GET   /api/v1/radiographs/<str:id>/image/                       401  403  403  200  404  200  403  404  404  200
GET   /api/v1/predictions/<str:id>/                             401  404  404  200  404  200  404  404  404  200
GET   /api/v1/predictions/<str:id>/map/<str:label>/             401  404  404  200  404  200  404  404  404  200
"""

#: The clinic shows unread results: operators and radiographers see image and result.
OPEN = """
GET   /images/<uuid:radiograph_id>/                             302  200  200  200  404  403  403  404  404  200
GET   /images/<uuid:radiograph_id>/reading/                     302  200  200  200  404  403  403  404  404  200
GET   /images/<uuid:prediction_id>/map/<slug:label>/            302  200  200  200  404  404  404  404  404  404
GET   /api/v1/radiographs/<str:id>/image/                       401  200  200  200  404  403  403  404  404  200
GET   /api/v1/predictions/<str:id>/                             401  200  200  200  404  404  404  404  404  404
GET   /api/v1/predictions/<str:id>/map/<str:label>/             401  200  200  200  404  404  404  404  404  404
"""

#: Addresses of allauth: nobody's patients, only one's own account. Columns: anonymous, signed in.
ACCOUNTS = """
GET   /accounts/login/                                          200  302
GET   /accounts/logout/                                         302  200
GET   /accounts/inactive/                                       200  200
GET   /accounts/session/                                        302  200
GET   /accounts/sessions/                                       302  200
GET   /accounts/signup/                                         200  302
GET   /accounts/reauthenticate/                                 302  200
GET   /accounts/email/                                          302  200
GET   /accounts/confirm-email/                                  200  200
GET   /accounts/password/change/                                302  200
GET   /accounts/password/set/                                   302  302
GET   /accounts/password/reset/                                 200  200
GET   /accounts/login/code/confirm/                             302  302
GET   /accounts/^confirm-email/(?P<key>[-:\\w]+)/$              200  200
GET   /accounts/password/reset/key/done/                        200  200
GET   /accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$  200  200
GET   /accounts/password/reset/done/                            200  200
GET   /accounts/2fa/                                            302  200
GET   /accounts/2fa/authenticate/                               302  302
GET   /accounts/2fa/reauthenticate/                             302  302
GET   /accounts/2fa/totp/activate/                              302  200
GET   /accounts/2fa/totp/deactivate/                            302  404
GET   /accounts/2fa/recovery-codes/                             302  404
GET   /accounts/2fa/recovery-codes/generate/                    302  200
GET   /accounts/2fa/recovery-codes/download/                    302  404
GET   /accounts/2fa/webauthn/                                   302  200
GET   /accounts/2fa/webauthn/login/                             302  302
GET   /accounts/2fa/webauthn/add/                               302  200
GET   /accounts/2fa/webauthn/reauthenticate/                    302  302
GET   /accounts/2fa/webauthn/keys/<int:pk>/remove/              302  404
GET   /accounts/2fa/webauthn/keys/<int:pk>/edit/                302  404
"""

#: The administration belongs to the system administrator; everybody else is sent away. What may be done per model.
ADMIN_MODELS = {
    "patients/user": {"view", "add", "change"},
    "patients/clinic": {"view", "add", "change"},
    "patients/patient": {"view"},
    "patients/auditevent": {"view"},
    "diagnosis/study": {"view"},
    "diagnosis/radiograph": {"view"},
    "diagnosis/job": {"view"},
    "diagnosis/prediction": {"view"},
    "diagnosis/finding": {"view"},
    "diagnosis/report": {"view"},
    "diagnosis/modelversion": {"view"},
    "diagnosis/worker": {"view"},
    "axes/accessattempt": {"view", "delete"},
    "axes/accesslog": {"view"},
    "knox/authtoken": {"view", "delete"},
    "mfa/authenticator": {"view", "delete"},
}
#: Results, which the administration shows of clinics opened by emergency access only.
ADMIN_CLOSED = {"diagnosis/prediction", "diagnosis/finding"}
#: Addresses of the administration that belong to no model, and the system administrator's answer.
ADMIN_PAGES = {
    "/admin/": 200,
    "/admin/login/": 302,
    "/admin/logout/": 405,
    "/admin/password_change/": 200,
    "/admin/password_change/done/": 200,
    "/admin/autocomplete/": 403,
    "/admin/jsi18n/": 200,
    "/admin/r/<path:rest>": 302,
    "/admin/r/<path:content_type_id>/<path:object_id>/": 302,
    "/admin/patients/user/<id>/password/": 200,
    "/admin/^(?P<app_label>*)/$": 200,
    "/admin/(?P<url>.*)$": 404,
}


@dataclass(frozen=True)
class Row:
    """What one method at one address answers to each role."""

    method: str
    route: str
    expected: dict[str, int]


def rows(table: str) -> list[Row]:
    """The lines of a table; a table of two columns says the same for every role that is signed in."""
    found = []
    for line in table.strip().splitlines():
        if not line or line.startswith("#"):
            continue
        method, route, *statuses = line.split()
        anonymous, *signed_in = (int(status) for status in statuses)
        columns = [anonymous, *(signed_in * (len(ROLES) - 1) if len(signed_in) == 1 else signed_in)]
        found.append(Row(method, route, dict(zip(ROLES, columns, strict=True))))
    return found
