# The environment of `make setup`, and the workflow (docs/install.md):
#   docker build --tag fit .
#   docker run --rm --volume "$PWD:/study" fit --help
FROM python:3.11.11-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/fit
# These alone say what is installed: another rule or page does not make the layer of packages again.
COPY Makefile pyproject.toml requirements.lock README.md LICENSE ./
COPY src src
RUN make setup
COPY . .
ENV PATH=/opt/fit/.venv/bin:$PATH
WORKDIR /study
ENTRYPOINT ["fit"]
