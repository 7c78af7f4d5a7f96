"""Stage 1: the steps to the model, up to the first one that fails.

    resolve → connect → proxy → TLS → HTTP → clock → authentication → model

The requests are free of charge: GET /models, and POST /chat/completions with an empty body, which a server must
refuse.  Only a model that is not in the server's list is asked for one token.
"""

import json
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any, Callable, NamedTuple, Optional
from urllib.parse import quote

from . import adapter, remedies, steps
from .plan import Plan
from .responses import (
    MISSING_ENDPOINT,
    candidates,
    close_names,
    duration,
    is_about_model,
    is_page,
    judge_http,
    judge_refusal,
    model_ids,
    parse_date,
    refuses_key,
    server_of,
    shown_text,
    title_of,
)
from .route import Route
from .settings import add_brackets
from .sockets import StepError
from .steps import Answer

OK, NO, DIFFERS, NOT_TRIED = "ok", "no", "differs", "not tried"
CLOCK_TOLERANCE = 300.0  #: seconds that two clocks may differ: what signed requests allow
REDIRECTS = 5


class Step(NamedTuple):
    """One line of the report: what was found, and what to do if it is not right."""

    name: str
    status: str
    detail: str
    seconds: Optional[float] = None
    cause: str = ""
    remedy: str = ""
    code: int = 0


class Finding(NamedTuple):
    """The finding of a step that did not fail; `cause` has a remedy if it is not as it should be."""

    detail: str
    status: str = OK
    cause: str = ""


class Way:
    """The steps to one model.

    `network` is the module `steps`, or its stand-in; `clock` gives monotonic seconds, `now` seconds since 1970.
    """

    def __init__(
        self,
        plan: Plan,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        network: Any = steps,
    ):
        self.plan = plan
        self._clock = clock
        self._now = now
        self.route = Route(plan, network, now)
        # The response to GET /models.
        self._models: Optional[Answer] = None
        # The response to POST /chat/completions with an empty body.
        self._empty_chat: Optional[Answer] = None

    def walk(self) -> Iterator[Step]:
        """Yield each step as it is taken; the last one is the first that fails."""
        for name, take in self._steps():
            step = self._take(name, take)
            yield step
            if step.status == NO:
                break
        self.route.close()

    def _steps(self) -> list[tuple[str, Callable[[], Finding]]]:
        route = self.route
        order: list[tuple[str, Callable[[], Finding]]] = [
            ("resolve", self._step_of(route.resolve)),
            ("connect", self._step_of(route.connect)),
        ]
        if self.plan.proxy and not self.plan.is_forwarded:
            order.append(("proxy", self._step_of(route.pass_proxy)))
        if self.plan.is_secure:
            order.append(("TLS", self._step_of(route.secure)))
        order.append(("HTTP", self._speak_http))
        order.append(("clock", self._compare_clocks))
        order.append(("authentication", self._authenticate))
        order.append(("model", self._find_model))
        return order

    def _step_of(self, take: Callable[[], str]) -> Callable[[], Finding]:
        """Return a step of the route as one of the way."""

        def step() -> Finding:
            return Finding(take())

        return step

    def _take(self, name: str, take: Callable[[], Finding]) -> Step:
        """Take one step and time it."""
        start = self._clock()
        try:
            finding = take()
        except StepError as error:
            spent = self._clock() - start
            fields = {**self._fields(), **error.fields}
            text = remedies.remedy(error.cause, fields)
            code = remedies.exit_code(error.cause)
            return Step(fields.get("step", name), NO, error.detail, spent, error.cause, text, code)
        spent = self._clock() - start
        text = remedies.remedy(finding.cause, self._fields()) if finding.cause else ""
        return Step(name, finding.status, finding.detail, spent, finding.cause, text)

    def _fields(self) -> dict[str, Any]:
        """Return the words that any remedy may use."""
        plan = self.plan
        host, port = self.plan.first_stop
        rest = plan.base_url.partition("://")[2]
        source = plan.proxy.source if plan.proxy else f"base_url ({plan.sources['base_url']})"
        return {
            "host": plan.target.host,
            "port": plan.target.port,
            "place_host": host,
            "place": f"{add_brackets(host)}:{port}",
            "source": source,
            "key_source": plan.sources["api_key"],
            "http_url": f"http://{rest}",
            "https_url": f"https://{rest}",
            "openssl": ssl.OPENSSL_VERSION,
        }

    # ---- HTTP

    def _ask(
        self,
        method: str,
        path: str,
        body: Optional[dict[str, Any]] = None,
        timeout: Optional[float] = None,
    ) -> Answer:
        """Ask for a path under base_url; redirections within the origin are followed, as rawchat does."""
        url, headers = self.plan.request(method, path, body)
        encoded = None if body is None else json.dumps(body).encode()
        answer = self.route.ask(url, method, headers, encoded, timeout)
        for _ in range(REDIRECTS):
            location = answer.headers.get("location")
            target = adapter.redirect_target(method, url, answer.status, location)
            if target is None:
                break
            url = target
            answer = self.route.ask(url, method, headers, encoded, timeout)
        return answer

    def _speak_http(self) -> Finding:
        try:
            answer = self._models = self._ask("GET", "/models")
        except StepError as error:
            raise self._explain_http(error) from None
        if answer.status in MISSING_ENDPOINT:
            self._empty_chat = self._ask("POST", "/chat/completions", {})
            if self._empty_chat.status in MISSING_ENDPOINT:
                answer = self._empty_chat
            elif not is_page(self._empty_chat):
                return Finding(
                    f"{answer.status} for the list of models, but chat completions are there"
                )
        cause = judge_http(answer, self.plan.is_forwarded)
        if cause:
            raise self._http_failure(cause, answer)
        return Finding(f"{answer.status} {server_of(answer)}".strip())

    def _http_failure(self, cause: str, answer: Answer) -> StepError:
        """Return the error for a response that is not an API's; it names a better base_url if there is one."""
        location = shown_text(answer.headers.get("location", ""))
        fields: dict[str, Any] = {"location": location}
        url, _ = self.plan.request("GET", "/models", None)
        place = url.partition("?")[0]
        detail = f"{answer.status} for {place}: {self._words(answer)}"
        if cause == "redirect":
            detail = f"{answer.status} for {place}: redirected to {location or 'nowhere'}"
        if cause.startswith("proxy-"):
            fields["step"] = "proxy"
        if cause in ("not-found", "web-page"):
            suggestion = self._suggest()
            if suggestion:
                cause += "-try"
                fields["suggestion"] = suggestion
        return StepError(cause, detail, **fields)

    def _explain_http(self, error: StepError) -> StepError:
        """Return the error; where a plain request met something odd, the port may speak TLS."""
        if self.plan.proxy or self.plan.is_secure or error.cause not in ("no-http", "http-silent"):
            return error
        if not self.route.speaks_tls():
            return error
        return StepError("tls-on-plain-port", f"{error.detail}; the port speaks TLS")

    def _words(self, answer: Answer) -> str:
        if is_page(answer):
            return f"a web page{title_of(answer)}"
        return adapter.error_text(answer.status, answer.headers, answer.body) or "no reason given"

    def _suggest(self) -> str:
        """Return a base_url of the same origin at which there is an API; '' if none is found."""
        # Without the key, as the URL is a guess.
        headers: Mapping[str, str] = {"Accept": "application/json"}
        for url in candidates(self.plan.base_url):
            try:
                answer = self.route.ask(f"{url}/models", "GET", headers)
            except StepError:
                return ""
            if not is_page(answer) and answer.status in (200, 401, 403):
                return url
        return ""

    def _compare_clocks(self) -> Finding:
        assert self._models
        served = parse_date(self._models.headers.get("date"))
        # The date of a response out of a cache is old (RFC 9111, 5.1).
        if served is None or "age" in self._models.headers:
            return Finding("the server sends no date", NOT_TRIED)
        off = self._now() - served
        if abs(off) <= CLOCK_TOLERANCE:
            return Finding("the same as the server's")
        direction = "ahead of" if off > 0 else "behind"
        detail = f"this machine's clock is {duration(abs(off))} {direction} the server's"
        return Finding(detail, DIFFERS, "clock")

    # ---- the key

    def _authenticate(self) -> Finding:
        assert self._models
        if not refuses_key(self._models) and self._empty_chat is None:
            self._empty_chat = self._ask("POST", "/chat/completions", {})
        for answer in (self._models, self._empty_chat):
            if answer is not None and refuses_key(answer):
                cause = judge_refusal(answer, self.plan.has_key)
                raise StepError(cause, f"{answer.status}: {self._words(answer)}")
        return Finding("the key is accepted" if self.plan.has_key else "no key is needed")

    # ---- the model

    def _find_model(self) -> Finding:
        assert self._models
        model = self.plan.model
        known = model_ids(self._models) if self._models.status == 200 else []
        if model in known:
            return Finding(f"{model} is in the server's list of {len(known)}")
        if known and self._ask("GET", f"/models/{quote(model, safe='')}").status == 200:
            return Finding(f"{model} is known to the server")
        messages = [{"role": "user", "content": "Hi"}]
        body = {"model": model, "messages": messages, "max_tokens": 1}
        answer = self._ask_model(body)
        about_limit = answer.status in (400, 422) and b"max_" in answer.body
        if answer.status < 300 or about_limit:
            where = "not in the server's list" if known else "the server has no list"
            return Finding(f"{model} answers ({where})")
        cause = "no-such-model" if is_about_model(answer) else "model-failed"
        detail = f"{model} ({self.plan.sources['model']}): {answer.status}: {self._words(answer)}"
        raise StepError(cause, detail, close=close_names(model, known))

    def _ask_model(self, body: dict[str, Any]) -> Answer:
        """Ask for a completion; a server may have to load the model first, which takes its time."""
        try:
            return self._ask("POST", "/chat/completions", body, self.plan.model_timeout)
        except StepError as error:
            if error.cause != "http-silent":
                raise
            raise StepError("model-silent", f"{self.plan.model}: {error.detail}") from None
