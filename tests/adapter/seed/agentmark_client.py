from agentmark_prompts import FileLoader
from agentmark_pydantic_ai_v0 import PydanticAIModelRegistry, create_pydantic_ai_client

registry = PydanticAIModelRegistry()
registry.register_models(["gpt-4o-mini"], lambda name, options=None: "test")
client = create_pydantic_ai_client(model_registry=registry, loader=FileLoader("."))
