# dfer studio: the CPU build of torch; with --build-arg CUDA=1 the CUDA build. Data is mounted at /data.
FROM python:3.11-slim-bookworm AS build
ARG CUDA=
WORKDIR /src
COPY . .
RUN python -m venv /venv \
 && if [ -z "$CUDA" ]; then /venv/bin/pip install --no-cache-dir \
      --extra-index-url https://download.pytorch.org/whl/cpu "torch==2.13.0+cpu"; fi \
 && /venv/bin/pip install --no-cache-dir -c constraints.txt ".[studio,onnx]"

FROM python:3.11-slim-bookworm
COPY --from=build /venv /venv
RUN useradd --create-home --uid 1000 dfer && mkdir /data && chown dfer /data
USER 1000
ENV PATH=/venv/bin:$PATH
VOLUME /data
EXPOSE 8765
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8765/api/v1/health', timeout=4)"]
CMD ["dfer", "studio", "/data", "--host", "0.0.0.0", "--no-browser"]
