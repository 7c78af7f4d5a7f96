"""One run of the doctor: the settings, the way, and the probe if it is asked for."""

import argparse
import io
import os
import ssl
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

from . import adapter, probe, remedies, settings, steps
from .check_server import CHECKS
from .options import UsageError, parse_args, read_key
from .plan import MODEL_SECONDS, STEP_SECONDS, Plan
from .report import OutputError, Report
from .settings import Setting
from .sockets import StepError
from .way import NO, Step, Way

TRUE = ("1", "true", "yes", "on")


class Doctor:
    """One run: the settings, the way, and the probe if it is asked for."""

    def __init__(
        self,
        options: argparse.Namespace,
        environ: Mapping[str, str],
        report: Report,
        clock: Callable[[], float],
        now: Callable[[], float],
        network: Any,
    ):
        self._options = options
        self._environ = environ
        self._report = report
        self._clock = clock
        self._now = now
        self._network = network
        self._given = self._arguments()
        self._proxy, self._proxy_source = self._option("proxy")
        self._cacert, self._cacert_source = self._option("cacert")
        self._config: Any = None
        self._proxy_url = ""

    def _arguments(self) -> dict[str, Any]:
        """Return the settings that are given as arguments, or by the variable of an option."""
        options, environ = self._options, self._environ
        given: dict[str, Any] = {"base_url": options.base_url, "model": options.model}
        key_file = options.key_file or environ.get("RAWCHAT_KEY_FILE")
        if key_file:
            given["api_key"] = read_key(key_file)
            given["api_key_source"] = "--key-file" if options.key_file else "RAWCHAT_KEY_FILE"
            self._report.hide([given["api_key"]])
        return given

    def _option(self, name: str) -> tuple[Optional[str], str]:
        """Return the value of an option and its source: the argument, else its variable; None if neither is given."""
        value = getattr(self._options, name)
        if value is not None:
            return value, "argument"
        variable = f"RAWCHAT_{name.upper()}"
        # An empty variable counts as not set, as for python -m rawchat.
        return self._environ.get(variable) or None, variable

    def run(self) -> int:
        """Return the exit code."""
        try:
            plan = self._plan()
        except StepError as error:
            code = remedies.exit_code(error.cause)
            remedy = remedies.remedy(error.cause, error.fields)
            self._report.step(Step("settings", NO, error.detail, None, error.cause, remedy, code))
            self._report.end_of_way()
            self._report.end(code)
            return code
        way = Way(plan, self._clock, self._now, self._network)
        code = 0
        for step in way.walk():
            self._report.step(step)
            code = code or step.code
        self._report.end_of_way()
        if not code and self._options.probe is not None:
            code = self._probe(plan, way)
        self._report.end(code)
        return code

    # ---- settings

    def _plan(self) -> Plan:
        """Show the settings, and return what follows from them.  Raises StepError if they cannot be used."""
        options, environ = self._options, self._environ
        listing = self._listing()
        base_url = self._config.base_url
        target = settings.target_of(base_url)
        problem = ""
        try:
            self._proxy_url = adapter.proxy_for(base_url, environ, self._proxy)
        except adapter.ConfigError as error:
            # This cannot be read either, so that the step of the proxy reports the problem.
            self._proxy_url = ":"
            problem = str(error)
        proxy = settings.proxy_setting(
            target.scheme,
            target.host,
            self._proxy_url,
            self._proxy,
            environ,
            self._proxy_source,
        )
        bundle = self._ca_bundle()
        listing.append(proxy)
        if target.scheme == "https":
            listing.append(bundle)
        self._report.settings(self._version(), listing)
        sources = {setting.name: setting.source for setting in listing}
        sources["CA bundle"] = describe_source(bundle.source, "--cacert")
        return Plan(
            base_url=base_url,
            target=target,
            proxy=self._take_proxy_apart(describe_source(proxy.source, "--proxy"), problem),
            ca_bundle=bundle.value,
            sources=sources,
            has_key=bool(adapter.keys_of(self._config)),
            model=next(setting.value for setting in listing if setting.name == "model"),
            request=self._request,
            timeout=options.timeout or STEP_SECONDS,
            model_timeout=options.timeout or MODEL_SECONDS,
        )

    def _ca_bundle(self) -> Setting:
        """Return the line about the CA bundle, with the path of the file or folder.  Raises StepError."""
        source = self._cacert_source
        if self._cacert != "system":
            default = adapter.default_ca_bundle()
            return settings.ca_setting(self._cacert, self._environ, default, source)
        try:
            return Setting("CA bundle", adapter.system_ca_bundle(), f"{source}: system")
        except adapter.ConfigError as error:
            raise StepError(
                "ca-bundle", str(error), source=describe_source(source, "--cacert")
            ) from None

    def _listing(self) -> list[Setting]:
        """Return the settings with their sources, checked as a client checks them.  Raises StepError."""
        defaults = {"base_url": adapter.DEFAULT_URL, "model": adapter.DEFAULT_MODEL}
        dotenv: dict[str, str] = {}
        listing: list[Setting] = []
        try:
            dotenv = adapter.read_dotenv()
            listing = settings.collect(self._given, self._environ, dotenv, defaults)
            self._config = self._load({setting.name: setting for setting in listing})
        except adapter.ConfigError as error:
            listing = settings.collect(self._given, self._environ, dotenv, defaults)
            # A base_url that was refused may be a key that was pasted into the wrong place.
            unchecked = [setting for setting in listing if setting.name != "base_url"]
            self._report.settings(self._version(), unchecked)
            cause = "no-key" if isinstance(error, adapter.MissingKeyError) else "settings"
            raise StepError(cause, str(error)) from None
        self._report.hide(adapter.secrets_of(self._config))
        shown = adapter.show_url(self._config.base_url)
        return [
            setting._replace(value=shown) if setting.name == "base_url" else setting
            for setting in listing
        ]

    def _take_proxy_apart(self, source: str, problem: str) -> Optional[settings.Proxy]:
        """Return the parts of the proxy's URL; None without a proxy.

        `problem` is what rawchat says against the URL.  Raises StepError.
        """
        if not self._proxy_url:
            return None
        try:
            proxy = settings.parse_proxy(self._proxy_url, source)
        except ValueError as error:
            detail = problem or f"{source}: {error}"
            raise StepError("proxy-url", detail, source=source) from None
        self._report.hide(adapter.proxy_secrets(self._proxy_url))
        try:
            adapter.refuse_plain_proxy(self._config, self._proxy_url, source)
        except adapter.ConfigError as error:
            raise StepError("key-through-plain-proxy", str(error), source=source) from None
        return proxy

    def _load(self, found: Mapping[str, Setting]) -> Any:
        """Return the Config; a RAWCHAT_… variable is an argument to it.  Raises ConfigError."""
        environ = self._environ
        given: dict[str, Any] = {"api_key": self._given.get("api_key")}
        for name in ("base_url", "model"):
            source = found[name].source
            if source == "argument" or source.startswith("RAWCHAT_"):
                given[name] = found[name].value
        allowed = environ.get("RAWCHAT_ALLOW_HTTP", "").lower() in TRUE
        given["allow_http"] = self._options.allow_http or allowed
        return adapter.check_settings(given, environ)

    def _request(
        self, method: str, path: str, body: Optional[dict[str, Any]]
    ) -> tuple[str, dict[str, str]]:
        return adapter.request_of(self._config, method, path, body)

    def _version(self) -> str:
        python = ".".join(str(part) for part in sys.version_info[:3])
        return f"{adapter.__version__}, Python {python}, {ssl.OPENSSL_VERSION}"

    # ---- what the server can do

    def _probe(self, plan: Plan, way: Way) -> int:
        names = self._options.probe
        checks = probe.plan_checks(CHECKS, names)
        calls, tokens = probe.bounds(checks)
        call_seconds, max_seconds = probe.time_bounds(self._options.timeout)
        self._report.bounds(len(checks), calls, tokens, max_seconds)
        send = adapter.make_sender(
            self._config, self._environ, self._cacert, self._proxy, self._clock
        )
        session = probe.Session(
            send,
            plan.model,
            calls,
            max_seconds,
            call_seconds,
            clock=self._clock,
            host=plan.target.host,
            proxy=plan.proxy.shown if plan.proxy else "",
            inspector=way.route.inspector,
            named=names,
        )
        results = []
        try:
            for result in probe.run_checks(checks, session, self._clock, self._report.progress):
                results.append(result)
                self._report.result(result)
        finally:
            send.close()
        self._report.end_of_probe()
        return probe.exit_code(results, names)


def describe_source(source: str, flag: str) -> str:
    """Return the source of a setting as a remedy names it: an argument by its flag."""
    return flag if source.startswith("argument") else source


def main(
    argv: Optional[Sequence[str]] = None,
    environ: Optional[Mapping[str, str]] = None,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
    network: Any = steps,
) -> int:
    """Run the command and return its exit code; --help leaves by SystemExit(0).

    `clock` gives monotonic seconds, `now` seconds since 1970; `network` is the module `steps` or its stand-in.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        accept_any_text(sys.stdout)
        options = parse_args(words)
        report = Report(sys.stdout, sys.stderr, options.json)
        return Doctor(
            options, os.environ if environ is None else environ, report, clock, now, network
        ).run()
    except UsageError as error:
        print(f"rawchat.doctor: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        discard_stdout()
        return 141
    except OutputError as error:
        print(f"rawchat.doctor: standard output: {error}", file=sys.stderr)
        discard_stdout()
        return 1


def accept_any_text(file: Any) -> None:
    """Let `file` print a character that its encoding lacks as an escape: a code page of Windows lacks most."""
    if isinstance(file, io.TextIOWrapper):
        file.reconfigure(errors="backslashreplace")


def discard_stdout() -> None:
    """Discard what Python still holds for standard output.

    Python flushes it again when it exits; that must not fail a second time.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
