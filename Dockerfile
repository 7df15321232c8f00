# syntax=docker/dockerfile:1
# The image of `goconductor serve` and `goconductor migrate`, and the beginning of your participants' images: docs/how-to/image.md
#     docker build --tag registry.example/goconductor:0.1.0 .
# Debian, and not Alpine: cel-expr-python and confluent-kafka have no wheels for musl.

ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# What changes seldom comes first. Each download is checked, and nothing is compiled: where a wheel is missing the build fails.
COPY requirements/build.lock requirements/image.lock requirements/
RUN python -m venv /opt/goconductor \
    && python -m pip install --no-deps --require-hashes --only-binary :all: --requirement requirements/build.lock \
    && /opt/goconductor/bin/python -m pip install --no-deps --require-hashes --only-binary :all: --requirement requirements/image.lock
COPY pyproject.toml README.md LICENSE ./
COPY goconductor goconductor
COPY migrations migrations
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/goconductor/bin/python -m pip install --no-deps dist/*.whl

FROM python:${PYTHON}-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="goconductor" \
      org.opencontainers.image.description="Decentralised saga coordination for Python microservices" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 goconductor \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin goconductor
COPY --from=build /opt/goconductor /opt/goconductor
ENV PATH=/opt/goconductor/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GOCONDUCTOR_HEALTH_PORT=8081
WORKDIR /srv
USER 10001:10001
# REST (on loopback, unless the settings say otherwise), health, metrics
EXPOSE 8080 8081 9464
# The event loop alone: a database that is away makes no process unhealthy, since no restart would bring it back.
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['GOCONDUCTOR_HEALTH_PORT']}/livez\")"]
CMD ["goconductor", "serve"]
