# syntax=docker/dockerfile:1
# The service with its local model: no key, nothing fetched at run time.
FROM python:3.11-slim AS build
WORKDIR /src
RUN pip install --no-cache-dir uv==0.13.9 && uv venv /opt/triage
COPY requirements/run.lock requirements/run.lock
# Compiled here: the service's user can't write beside the modules, and each start would compile them anew.
RUN uv pip install --no-cache --compile-bytecode --python /opt/triage/bin/python --require-hashes -r requirements/run.lock
COPY pyproject.toml README.md CHANGELOG.md LICENSE NOTICE ./
COPY triage triage
COPY prompts prompts
COPY evals/datasets evals/datasets
RUN uv pip install --no-cache --compile-bytecode --python /opt/triage/bin/python --no-deps .

FROM python:3.11-slim
# llama.cpp needs the OpenMP runtime.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 triage && install -d -o triage -g triage /data /cache
COPY --from=build /opt/triage /opt/triage
USER triage
WORKDIR /home/triage
ENV PATH=/opt/triage/bin:$PATH PYTHONUNBUFFERED=1 \
    TRIAGE_HOST=0.0.0.0 TRIAGE_PORT=8350 TRIAGE_DATA_DIR=/data TRIAGE_CACHE_DIR=/cache
VOLUME ["/data", "/cache"]
EXPOSE 8350
# The first start puts the model's weights together.
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8350/healthz', timeout=4)"]
ENTRYPOINT ["triage"]
CMD ["serve"]
