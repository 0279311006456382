"""Five pictures from one photograph: workflows saved by the ComfyUI editor, with an ordinary Python loop around them.

Runs on the embedded engine; needs neither ComfyUI nor a GPU. Pictures go to `output/` next to this file.
"""

import asyncio
from pathlib import Path

from discomfort import Discomfort

HERE = Path(__file__).parent
SETTINGS = [(320, 0.0), (400, 0.25), (480, 0.5), (560, 0.75), (640, 1.0)]


async def main() -> None:
    discomfort = await Discomfort.create()

    with discomfort.Context() as context:
        # Load the VAE once. It is passed by reference: the context keeps the workflow that makes it, not the object.
        await discomfort.run([HERE / "load_vae.json"], context=context)

        context.save("photo", discomfort.Tools.open_image_as_tensor(HERE / "coffee.png"))
        for number, (width, strength) in enumerate(SETTINGS):
            context.save("width", width)
            context.save("strength", strength)
            await discomfort.run([HERE / "main_workflow.json"], context=context)

            image = context.load("output")
            path = HERE / "output" / f"coffee_{number}.png"
            discomfort.Tools.save_comfy_image_to_disk(image, path)
            print(f"{path.name}: {image.shape[2]} x {image.shape[1]}, glow {strength}")

        usage = context.get_usage()
        print(f"RAM: {usage['ram_usage_gb']:.3f} / {usage['ram_capacity_gb']:.1f} GB")
        print(f"Disk: {usage['temp_disk_usage_mb']:.1f} MB")
        print(f"Items: {usage['stored_keys_count']}")

    await discomfort.shutdown()


asyncio.run(main())
