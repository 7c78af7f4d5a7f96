"""What rawchat adds to a request by itself is left out once a server refuses it; what the caller wrote stays."""

import json
from dataclasses import dataclass
from typing import Any, Optional

import pytest

import rawchat
from rawchat import History, schema, tools
from rawchat.wire import Request

from ..server import Answer, Server, answer, completion, serving, streamed

row = pytest.mark.row

OK = answer(completion())
MISTRAL = {
    "object": "error",
    "message": {
        "detail": [
            {
                "type": "extra_forbidden",
                "loc": ["body", "stream_options", "include_usage"],
                "msg": "Extra inputs are not permitted",
                "input": True,
            }
        ]
    },
    "type": "invalid_request_error",
}
COHERE = {"message": "unknown field: parameter 'strict' is not a valid field."}
# llama-cpp-python's server, whose own check fails: 500, and the words of pydantic
LLAMA_CONTENT = {
    "error": {
        "message": "[{'type': 'string_type', 'loc': ('body', 'messages', 1, 'typed-dict', 'content'), "
        "'msg': 'Input should be a valid string', 'input': None}]",
        "type": "internal_server_error",
        "param": None,
        "code": None,
    }
}
LLAMA_SCHEMA = {
    "error": {
        "message": "[{'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), "
        "'msg': \"Input should be 'text' or 'json_object'\", 'input': 'json_schema'}]",
        "type": "internal_server_error",
    }
}
DEEPSEEK = {"error": {"message": "This response_format type is unavailable now"}}


@dataclass
class Person:
    name: str


ANN = answer(completion('{"name": "Ann"}'))


def temperature(city: str) -> float:
    return 20.5


READY = {
    "type": "function",
    "function": {"name": "lookup", "parameters": {"type": "object"}, "strict": True},
}


def client(server: Server, **settings: Any) -> rawchat.Client:
    return rawchat.Client(base_url=server.url, environ={}, max_retries=0, **settings)


def called(content: Optional[str] = None) -> dict[str, Any]:
    function = {"name": "temperature", "arguments": '{"city": "Paris"}'}
    call = {"id": "c0", "type": "function", "function": function}
    return {"role": "assistant", "content": content, "tool_calls": [call]}


def calling(content: Optional[str] = None) -> bytes:
    choice = {"index": 0, "message": called(content), "finish_reason": "tool_calls"}
    return answer({"choices": [choice]})


def bodies(server: Server) -> list[Any]:
    return [request.json for request in server.requests]


# ---- stream_options


@row("11.12")
@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (MISTRAL, 422),
        ({"error": {"message": json.dumps(MISTRAL["message"])}}, 422),
        ({"error": {"message": "Unknown parameter", "param": "stream_options"}}, 400),
        ({"detail": "stream_options: extra fields not permitted"}, 400),
    ],
)
def test_stream_options_are_left_out_once_and_from_then_on(payload: Any, status: int) -> None:
    with serving(answer(payload, status), streamed(), streamed()) as server:
        history = History(client(server))
        assert "".join(history.stream("Hi")) == "Hello"
        assert "".join(history.stream("Hi")) == "Hello"
    sent = bodies(server)
    assert ["stream_options" in body for body in sent] == [True, False, False]
    assert sent[1] == {name: value for name, value in sent[0].items() if name != "stream_options"}


@row("11.12")
def test_stream_options_of_the_caller_are_never_changed() -> None:
    with serving(answer(MISTRAL, 422)) as server, pytest.raises(rawchat.UnprocessableEntityError):
        list(History(client(server)).stream("Hi", stream_options={"include_usage": True}))
    assert len(server.requests) == 1


def test_what_is_refused_with_another_status_or_other_words_is_not_left_out() -> None:
    failures = [
        answer(MISTRAL, 429),
        answer(MISTRAL, 500),
        answer({"error": {"message": "temperature: Extra inputs are not permitted"}}, 422),
    ]
    for failure in failures:
        with serving(failure) as server, pytest.raises(rawchat.APIStatusError):
            list(History(client(server)).stream("Hi"))
        assert len(server.requests) == 1


def test_what_fails_without_it_too_is_not_remembered() -> None:
    with serving(answer(MISTRAL, 422), answer(MISTRAL, 422), streamed()) as server:
        history = History(client(server))
        with pytest.raises(rawchat.UnprocessableEntityError):
            list(history.stream("Hi"))
        list(history.stream("Hi"))
    assert ["stream_options" in body for body in bodies(server)] == [True, False, True]


def test_a_retry_and_a_further_model_go_without_it_too() -> None:
    busy = answer({"error": "busy"}, 503)
    with serving(answer(MISTRAL, 422), busy, busy, streamed(), streamed()) as server:
        asked = rawchat.Client(
            base_url=server.url,
            environ={},
            model=["a", "b"],
            max_retries=1,
            sleep=lambda seconds: None,
        )
        history = History(asked)
        list(history.stream("Hi"))
    assert [(body["model"], "stream_options" in body) for body in bodies(server)] == [
        ("a", True),
        ("a", False),
        ("a", False),
        ("b", True),
    ]


# ---- strict


@row("11.12")
def test_strict_is_left_out_of_functions_and_stays_in_the_callers_tools() -> None:
    with serving(answer(COHERE, 422), calling(""), OK) as server:
        tools.run("Go", [temperature, READY], client(server), functions={"lookup": str})
    for sent, added in zip(bodies(server), (True, False, False)):
        own, ready = (tool["function"] for tool in sent["tools"])
        assert ("strict" in own, "strict" in ready) == (added, True)


def test_strict_of_the_callers_tools_alone_is_never_changed() -> None:
    with serving(answer(COHERE, 422)) as server, pytest.raises(rawchat.UnprocessableEntityError):
        tools.run("Go", [READY], client(server), functions={"lookup": str})
    assert len(server.requests) == 1


@row("11.12")
def test_strict_is_left_out_of_a_typed_answer() -> None:
    with serving(answer(COHERE, 400), ANN) as server:
        assert client(server).parse("Who?", Person) == Person("Ann")
    formats = [body["response_format"]["json_schema"] for body in bodies(server)]
    assert ["strict" in each for each in formats] == [True, False]


GEMINI = {
    "error": {
        "code": 400,
        "message": 'Invalid JSON payload received. Unknown name "additionalProperties" at '
        "'tools[0].function_declarations[0].parameters': Cannot find field.",
    }
}


def look_up(additionalProperties: bool) -> str:  # noqa: N803
    return "found"


@row("11.12")
def test_additional_properties_are_left_out_of_functions_and_stay_in_the_callers_tools() -> None:
    ready = {"type": "function", "function": {**READY["function"], "name": "ready"}}
    ready["function"]["parameters"] = {"type": "object", "additionalProperties": False}
    with serving(answer([GEMINI], 400), OK) as server:
        tools.run("Go", [look_up, ready], client(server), functions={"ready": str})
    first, second = ([tool["function"] for tool in body["tools"]] for body in bodies(server))
    assert first[0]["parameters"]["additionalProperties"] is False
    del first[0]["parameters"]["additionalProperties"]
    del first[0]["strict"]
    assert second == first
    assert "additionalProperties" in second[0]["parameters"]["properties"]  # the caller's own name


@row("11.12")
def test_additional_properties_are_left_out_of_a_typed_answer() -> None:
    with serving(answer(GEMINI, 400), ANN, ANN) as server:
        asking = client(server)
        assert [asking.parse("Who?", Person) for _ in range(2)] == [Person("Ann")] * 2
    sent = ["additionalProperties" in json.dumps(body) for body in bodies(server)]
    assert sent == [True, False, False]


def test_a_schema_that_needs_additional_properties_is_an_error() -> None:
    words = "Invalid schema for function 'f': 'additionalProperties' is required to be false"
    refusal = answer({"error": {"message": words}}, 400)
    with serving(refusal) as server, pytest.raises(rawchat.BadRequestError):
        tools.run("Go", [temperature], client(server))
    assert len(server.requests) == 1


def test_a_schema_that_strict_mode_does_not_take_is_an_error() -> None:
    words = "Invalid schema for response_format 'Person': In strict mode, 'required' must be …"
    with (
        serving(answer({"error": {"message": words}}, 400)) as server,
        pytest.raises(rawchat.BadRequestError),
    ):
        client(server).parse("Who?", Person)
    assert len(server.requests) == 1


# ---- json_schema


@row("11.6")
@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (LLAMA_SCHEMA, 500),
        ({"detail": LLAMA_SCHEMA["error"]["message"]}, 422),
        (DEEPSEEK, 400),
        (
            {"error": {"message": "'response_format' of type 'json_schema' is not supported"}},
            400,
        ),
    ],
)
@pytest.mark.parametrize("system", [None, "Be brief."])
def test_parse_asks_in_json_mode_where_json_schema_is_refused(
    payload: Any, status: int, system: Optional[str]
) -> None:
    messages = [{"role": "user", "content": "Who?"}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    given = json.loads(json.dumps(messages))
    with serving(answer(payload, status), ANN, ANN) as server:
        asked = client(server)
        assert asked.parse(messages, Person) == asked.parse(messages, Person) == Person("Ann")
    assert messages == given
    first, second, third = bodies(server)
    assert first["response_format"] == schema.response_format(Person)
    assert third == second
    assert second["response_format"] == {"type": "json_object", "schema": schema.schema(Person)}
    assert [message["role"] for message in second["messages"]] == ["system", "user"]
    instructions = second["messages"][0]["content"]
    assert instructions.startswith(system or "")
    assert json.dumps(schema.schema(Person)) in instructions


@row("11.6")
def test_an_answer_in_json_mode_is_checked_as_always() -> None:
    wrong = answer(completion('{"surname": "Ann"}'))
    with (
        serving(answer(LLAMA_SCHEMA, 500), wrong) as server,
        pytest.raises(rawchat.APIResponseValidationError, match="missing name"),
    ):
        client(server).parse("Who?", Person)


def test_a_format_of_the_caller_is_never_changed() -> None:
    given = dict(schema.response_format(Person))
    with (
        serving(answer(LLAMA_SCHEMA, 422)) as server,
        pytest.raises(rawchat.UnprocessableEntityError),
    ):
        client(server).chat("Who?", response_format=given)
    assert len(server.requests) == 1


# ---- null content beside tool calls


@row("11.5")
@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (LLAMA_CONTENT, 500),
        ({"error": {"message": "messages[1].content must be a string"}}, 400),
        ({"detail": [{"loc": ["body", "messages", 1, "content"], "msg": "none"}]}, 422),
    ],
)
def test_refused_null_content_is_sent_as_text_once_and_from_then_on(
    payload: Any, status: int
) -> None:
    refused = answer(payload, status)
    with serving(calling(), refused, OK, calling(), OK) as server:
        history = History(client(server))
        for _ in range(2):
            history.append({"role": "user", "content": "How warm?"})
            tools.run(history, [temperature])
    sent = [[message.get("content") for message in body["messages"]] for body in bodies(server)]
    assert sent[1] == ["How warm?", None, "20.5"]
    assert sent[2] == ["How warm?", "", "20.5"]
    assert (sent[3][1], sent[4][1], sent[4][5]) == ("", "", "")
    assert history[1] == called()  # the record is what was received


@row("11.5")
def test_null_content_is_sent_back_as_null() -> None:
    with serving(calling(), OK) as server:
        tools.run("Go", [temperature], client(server))
    assert bodies(server)[1]["messages"][1] == called()


@pytest.mark.parametrize(
    "failure",
    [
        answer({"error": {"message": "temperature is too high"}}, 400),
        answer({"error": {"message": "no content for you"}}, 403),
        answer({"error": {"code": "context_length_exceeded", "message": "the messages"}}, 400),
    ],
)
def test_other_failures_of_a_tool_round_are_errors_at_once(failure: Answer) -> None:
    with serving(calling(), failure) as server, pytest.raises(rawchat.APIStatusError):
        tools.run("Go", [temperature], client(server))
    assert len(server.requests) == 2


def test_without_null_content_a_word_about_it_is_an_error_at_once() -> None:
    with serving(answer(LLAMA_CONTENT, 500)) as server, pytest.raises(rawchat.APIStatusError):
        client(server).chat("Hi")
    assert len(server.requests) == 1


def test_a_request_made_by_hand_is_sent_as_it_is() -> None:
    with serving(answer(MISTRAL, 422)) as server:
        request = Request("POST", server.url + "/chat/completions", body=b'{"stream_options":{}}')
        with pytest.raises(rawchat.UnprocessableEntityError):
            client(server).send(request)
    assert len(server.requests) == 1


# ---- fields of an earlier answer

CITED = [{"type": "url_citation"}]
REASONING = {"content": "Hi", "reasoning_content": "They greet me.", "annotations": CITED}
#: What servers say, with the report it is from; all of them refuse the whole request.
REFUSALS = [
    (  # Groq: tashfeenahmed/freellmapi#1070
        "'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : "
        "property 'reasoning_content' is unsupported)]",
        400,
    ),
    (  # Cerebras: Kilo-Org/kilocode#10375
        "messages.1.assistant.reasoning_content: property 'messages.1.assistant.reasoning_content' "
        "is unsupported",
        400,
    ),
    (  # Mistral: charmbracelet/crush#1590
        '[{"type": "extra_forbidden", "msg": "Extra inputs are not permitted", '
        '"loc": ["body", "messages", 1, "assistant", "reasoning_content"]}]',
        422,
    ),
    (  # OpenCode Zen: can1357/oh-my-pi#1157
        "Error from provider: Extra inputs are not permitted, field: 'messages[1].reasoning_content'",
        400,
    ),
]


def thinking() -> bytes:
    return answer(completion(choices=[{"message": REASONING, "finish_reason": "stop"}]))


def refusal(words: str, status: int = 400) -> bytes:
    return answer({"error": {"message": words, "type": "invalid_request_error"}}, status)


@row("11.5")
@pytest.mark.parametrize(("words", "status"), REFUSALS)
def test_a_refused_field_of_an_answer_is_left_out_and_from_then_on(words: str, status: int) -> None:
    with serving(thinking(), refusal(words, status), thinking(), OK) as server:
        history = History(client(server))
        for _ in range(3):
            history.ask("Hi")
    sent = [body["messages"][1::2] for body in bodies(server)]
    whole = {"role": "assistant", **REASONING}
    less = {"role": "assistant", "content": "Hi", "annotations": CITED}
    assert sent == [[], [whole], [less], [less, less]]
    assert history[1] == whole  # the record is what was received


@row("11.5")
def test_fields_that_are_refused_one_after_the_other_are_left_out() -> None:
    second = refusal("property 'annotations' is unsupported")
    with serving(thinking(), refusal(*REFUSALS[0]), second, OK) as server:
        history = History(client(server))
        history.ask("Hi")
        history.ask("Hi")
    assert bodies(server)[3]["messages"][1] == {"role": "assistant", "content": "Hi"}


@row("11.5")
def test_a_field_that_one_model_refuses_is_sent_to_another() -> None:
    with serving(thinking(), refusal(*REFUSALS[0]), OK, OK) as server:
        history = History(client(server, model="groq/m"))
        history.ask("Hi")
        history.ask("Hi")
        history.ask("Hi", model="deepseek/m")
    assert bodies(server)[3]["messages"][1] == {"role": "assistant", **REASONING}


@row("11.5")
@pytest.mark.parametrize(
    "words",
    [
        "The `reasoning_content` in the thinking mode must be passed back to the API.",  # DeepSeek
        "reasoning_content is too long",
        "unknown parameter: 'reasoning_effort'",
        "messages.1.content: unsupported",
    ],
)
def test_other_words_about_a_field_of_an_answer_are_an_error_at_once(words: str) -> None:
    with serving(thinking(), refusal(words)) as server:
        history = History(client(server))
        history.ask("Hi")
        with pytest.raises(rawchat.BadRequestError):
            history.ask("Hi")
    assert len(server.requests) == 2


def test_a_field_that_a_caller_writes_into_a_message_is_never_left_out() -> None:
    messages = [{"role": "assistant", "content": "{", "prefix": True}]
    refused = refusal("property 'prefix' is unsupported")
    with serving(refused) as server, pytest.raises(rawchat.BadRequestError):
        client(server).chat(messages)
    assert len(server.requests) == 1
