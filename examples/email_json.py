"""JSON mode, for servers without schemas: the shape stands in the prompt, the check is ours."""

import json

import rawchat

EMAIL = "Hi, this is Ann Lee (ann@example.org). Please call me tomorrow about the invoice. Thanks!"
SHAPE = 'Answer in JSON: {"name": …, "email": …, "wish": …}'

reply = rawchat.chat(
    [{"role": "system", "content": SHAPE}, {"role": "user", "content": EMAIL}],
    response_format={"type": "json_object"},
    temperature=0,
)
try:
    facts = json.loads(reply.text)
    print(f"{facts['name']} <{facts['email']}> wants: {facts['wish']}")
except (ValueError, KeyError) as error:
    print(f"not what was asked for ({error!r}): {reply.text}")
