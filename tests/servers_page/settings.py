"""What each server of tests/wire needs to be told about: the settings that docs/servers.md lists.

The base_url is that of the server's own documentation; where a server runs on a machine of yours, it is the port that
it takes by default.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Setting:
    """How to reach a server."""

    title: str
    base_url: str
    note: str = ""
    #: Headers that go with every request, beside the key.
    headers: dict[str, str] = field(default_factory=dict)


#: By the names of the folders in tests/wire.
SETTINGS: dict[str, Setting] = {
    "vllm": Setting("vLLM", "http://localhost:8000/v1", "a key only with `--api-key`"),
    "sglang": Setting("SGLang", "http://localhost:30000/v1", "a key only with `--api-key`"),
    "tgi": Setting("TGI", "http://localhost:3000/v1", "the model's name may be anything"),
    "ollama": Setting("Ollama", "http://localhost:11434/v1", "no key"),
    "llama-cpp": Setting("llama.cpp", "http://localhost:8080/v1", "tools only with `--jinja`"),
    "llama-cpp-python": Setting(
        "llama-cpp-python",
        "http://localhost:8000/v1",
        "tools only with `--chat_format chatml-function-calling`",
    ),
    "lm-studio": Setting("LM Studio", "http://localhost:1234/v1", "no key"),
    "deepseek": Setting("DeepSeek", "https://api.deepseek.com/v1"),
    "gemini": Setting("Gemini", "https://generativelanguage.googleapis.com/v1beta/openai"),
    "anthropic": Setting("Anthropic", "https://api.anthropic.com/v1"),
    "bedrock": Setting(
        "Bedrock", "https://HOST/api/v1", "the address of your own bedrock-access-gateway"
    ),
    "mistral": Setting("Mistral", "https://api.mistral.ai/v1"),
    "xai": Setting("xAI", "https://api.x.ai/v1"),
    "groq": Setting("Groq", "https://api.groq.com/openai/v1"),
    "fireworks": Setting("Fireworks", "https://api.fireworks.ai/inference/v1"),
    "together": Setting("Together", "https://api.together.xyz/v1"),
    "moonshot": Setting(
        "Moonshot (Kimi)", "https://api.moonshot.ai/v1", "in China `https://api.moonshot.cn/v1`"
    ),
    "glm": Setting(
        "GLM (Z.ai)",
        "https://api.z.ai/api/paas/v4",
        "in China `https://open.bigmodel.cn/api/paas/v4`",
    ),
    "minimax": Setting(
        "MiniMax", "https://api.minimax.io/v1", "in China `https://api.minimaxi.com/v1`"
    ),
    "dashscope": Setting(
        "DashScope (Qwen)",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "in China `https://dashscope.aliyuncs.com/compatible-mode/v1`",
    ),
    "openrouter": Setting(
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        "the headers are optional: they name your application in OpenRouter's rankings",
        {"HTTP-Referer": "https://example.org", "X-Title": "Example"},
    ),
    "copilot": Setting(
        "Copilot",
        "https://api.githubcopilot.com",
        "the key is a token that lasts for half an hour; pass a function as `api_key`",
        {"Copilot-Integration-Id": "vscode-chat", "Editor-Version": "vscode/1.104.0"},
    ),
    "cohere": Setting("Cohere", "https://api.cohere.ai/compatibility/v1"),
    "cerebras": Setting("Cerebras", "https://api.cerebras.ai/v1"),
    "azure": Setting(
        "Azure",
        "https://NAME.openai.azure.com/openai/v1",
        "the model is the name of your deployment; paths with a deployment: see below",
    ),
    "litellm": Setting(
        "LiteLLM", "http://localhost:4000/v1", "a key only with `master_key` in its settings"
    ),
    "9router": Setting("9router", "http://localhost:20128/v1"),
    "baidu": Setting("Baidu (Qianfan)", "https://qianfan.baidubce.com/v2"),
    "baseten": Setting("Baseten", "https://inference.baseten.co/v1"),
    "cloudflare": Setting(
        "Cloudflare (Workers AI)", "https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai/v1"
    ),
    "coze": Setting("Coze", "https://HOST/v1", "the address of a gateway in front of it"),
    "deepinfra": Setting("DeepInfra", "https://api.deepinfra.com/v1/openai"),
    "fastchat": Setting("FastChat", "http://localhost:8000/v1"),
    "github-models": Setting("GitHub Models", "https://models.github.ai/inference"),
    "new-api": Setting("new-api, one-api", "http://localhost:3000/v1"),
    "nvidia-nim": Setting(
        "NVIDIA NIM", "https://integrate.api.nvidia.com/v1", "your own: `http://localhost:8000/v1`"
    ),
    "openai": Setting("OpenAI", "https://api.openai.com/v1", "the default"),
    "siliconflow": Setting("SiliconFlow", "https://api.siliconflow.cn/v1"),
    "stepfun": Setting("StepFun", "https://api.stepfun.com/v1"),
    "volcengine": Setting(
        "Volcengine (Doubao)",
        "https://ark.cn-beijing.volces.com/api/v3",
        "elsewhere, as BytePlus, `https://ark.ap-southeast.bytepluses.com/api/v3`",
    ),
    "perplexity": Setting("Perplexity", "https://api.perplexity.ai"),
}

#: Azure's older paths: the name of the deployment and a date in the URL.
AZURE_URL = "https://NAME.openai.azure.com/openai/deployments/DEPLOYMENT?api-version=2024-10-21"
