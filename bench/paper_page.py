"""The page of the paper in its least form: decode, resize, `model.predict` and answer, all in the request.

One process answers one film at a time (`gunicorn --workers 1 bench.paper_page:application`); there is no sign-in, no
database and no queue, nothing is checked and nothing is kept. May import: Django, NumPy, Pillow, Keras,
`bench.site_model`, `mlcore`.
"""

from __future__ import annotations

import os
import secrets
from html import escape
from pathlib import Path

import numpy as np
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from PIL import Image

settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY=secrets.token_hex(), MIDDLEWARE=[], LOGGING_CONFIG=None
)

from bench.site_model import FOLDER  # noqa: E402
from mlcore.backbones import build_served  # noqa: E402
from mlcore.card import WEIGHTS_FILE, load_card  # noqa: E402

CARD = load_card(Path(os.environ[FOLDER]))
MODEL = build_served(CARD.architecture)
MODEL.load_weights(Path(os.environ[FOLDER]) / WEIGHTS_FILE)
SIZE = CARD.preprocessing.size
MODEL.predict(np.zeros((1, *SIZE, 1), np.float32), verbose=0)


def page(request: HttpRequest) -> HttpResponse:
    """The form; with a film, what the network says of it."""
    rows = ""
    if request.method == "POST":
        film = Image.open(request.FILES["file"]).convert("L").resize(SIZE[::-1])
        pixels = np.asarray(film, np.float32)[None, ..., None] / 255
        probabilities, _ = MODEL.predict(pixels, verbose=0)
        labels = [label.title for label in CARD.labels]
        rows = "".join(
            f"<tr><td>{escape(label)}</td><td>{100 * share:.1f} %</td></tr>"
            for label, share in zip(labels, probabilities[0], strict=True)
        )
    form = (
        '<form method="post" enctype="multipart/form-data"><input type="file" name="file"><button>Send</button></form>'
    )
    return HttpResponse(f"<!doctype html><title>Chest X-ray</title>{form}<table>{rows}</table>")


urlpatterns = [path("", page)]
application = get_wsgi_application()
