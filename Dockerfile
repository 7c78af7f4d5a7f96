# docker build -t rawchat . && docker run --rm -e OPENAI_API_KEY rawchat "Say hi"
FROM python:3-alpine
WORKDIR /src
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY rawchat rawchat/
RUN pip install --no-cache-dir .
USER nobody
ENTRYPOINT ["python", "-m", "rawchat"]
