"""An engine for Ray Serve's LLM application that passes what it is asked on to the server at LOUPE_URL: Ray's side of docs/clusters/ray-serve.yaml
without a GPU. Ray Serve takes it by RAYLLM_VLLM_ENGINE_CLS=ray_engine.PassedOn."""
import json, os, urllib.error, urllib.request

from ray.llm._internal.serve.core.configs.openai_api_models import ChatCompletionResponse, ErrorInfo, ErrorResponse
from ray.llm._internal.serve.core.engine.protocol import LLMEngine


class PassedOn(LLMEngine):
    def __init__(self, llm_config):
        self.config = llm_config

    async def start(self):
        # What vLLM would be started with.
        with open(os.environ["ENGINE_ARGUMENTS"], "w") as to:
            json.dump(self.config.engine_kwargs, to)

    def routing_stats(self):
        return {}

    async def resolve_lora(self, lora_model):
        raise NotImplementedError

    async def chat(self, request, raw_request_info=None):
        body = request.model_dump(mode="json", exclude_unset=True)
        asked = urllib.request.Request(os.environ["LOUPE_URL"] + "/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(asked) as response:
                yield ChatCompletionResponse.model_validate(json.load(response))
        except urllib.error.HTTPError as error:
            words = json.load(error)["error"]
            yield ErrorResponse(error=ErrorInfo(message=words["message"], type=words["type"], code=error.code))

    async def completions(self, request, raw_request_info=None):
        raise NotImplementedError
        yield

    embeddings = score = tokenize = detokenize = transcriptions = completions

    async def check_health(self):
        pass

    async def build_asgi_app(self):
        raise NotImplementedError
