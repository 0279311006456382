"""Load a model once, then make five pictures with new prompts and seeds: the model stays loaded on ComfyUI.

Needs a ComfyUI checkout with a Stable Diffusion checkpoint:

    DISCOMFORT_ENGINE=comfyui:/path/to/ComfyUI python examples/loop/loop.py my_model.safetensors
"""

import asyncio
import sys
from pathlib import Path

from discomfort import Discomfort

HERE = Path(__file__).parent


async def main(model_name: str) -> None:
    discomfort = await Discomfort.create()

    with discomfort.Context() as context:
        # Load model once (pass-by-reference)
        context.save("model_name", model_name)
        await discomfort.run([HERE / "load_model.json"], context=context)

        # Now my_model, my_clip and my_vae are available for subsequent runs
        for i in range(5):
            # Update parameters (pass-by-value)
            context.save("prompt", f"Image {i}: A beautiful scene")
            context.save("seed", 1000 + i)

            # Run main workflow - reuses the loaded model
            await discomfort.run([HERE / "main_workflow.json"], context=context)

            # Extract result
            image = context.load("output")
            discomfort.Tools.save_comfy_image_to_disk(image, HERE / "output" / f"output_{i}.png")

    await discomfort.shutdown()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "my_model.safetensors"))
