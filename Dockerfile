# One image for web, workers and sweepers; docker-compose.yml says which runs where.
FROM python:3.11-slim AS build
WORKDIR /site
RUN python -m venv /venv
COPY requirements.txt requirements-edge.txt ./
# Not empty: with the CUDA libraries that TensorFlow needs on an NVIDIA GPU.
ARG GPU=
RUN /venv/bin/pip install --no-cache-dir -r requirements.txt \
    && if [ -n "$GPU" ]; then \
         /venv/bin/pip install --no-cache-dir "tensorflow[and-cuda]==$(sed -n 's/^tensorflow==//p' requirements.txt)"; fi

FROM python:3.11-slim
RUN groupadd --gid 10001 cxr && useradd --uid 10001 --gid cxr --no-create-home cxr \
    && install -d -o cxr -g cxr /data /data/media /data/models
COPY --from=build /venv /venv
WORKDIR /site
COPY manage.py ./
COPY cxrsite cxrsite
COPY patients patients
COPY mlcore mlcore
COPY diagnosis diagnosis
COPY templates templates
COPY static static
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=cxrsite.settings.production VAR_DIR=/data HOST=0.0.0.0 PORT=8000 HOME=/tmp
USER cxr
VOLUME /data
EXPOSE 8000
