"""Golden transcripts of the published protocols, made by the code of their own repositories.

    python make.py VITAR DEEPEYES MINI_O3 PIXEL_REASONER QWEN_AGENT NOTEBOOK IBIS OPHIUCHUS > golden.json

The arguments are checkouts (and the notebook `think_with_images.ipynb` of QwenLM/Qwen3-VL) at the commits named in `src/protocols/*.rs`. Only the functions that
define a protocol are taken out of them (they are read, not imported: the repositories need ray and
vLLM). Pillow does the pixels. Every case holds the scripted replies and, for each, what the
source sends back: the user turn (`P` stands for the picture), the picture's size and the SHA-256 of
its pixels before a resize by BICUBIC or LANCZOS (which has tests of its own).
"""
import ast, copy, hashlib, io, json, math, os, re, shutil, struct, sys, tempfile, types, typing, uuid
from io import BytesIO
from pathlib import Path
from typing import Any, Dict, List, Literal, Optional
import numpy as np
from PIL import Image, ImageDraw
from math import ceil, floor

VITAR, DEEPEYES, MINI, PIXEL, AGENT, NOTEBOOK, IBIS, OPHIUCHUS = sys.argv[1:9]


def take(path, names, extra=None):
    """The top-level definitions `names` of a file, run on their own."""
    tree = ast.parse(open(path).read())
    found = {}
    space = dict(re=re, json=json, math=math, np=np, Image=Image, ImageDraw=ImageDraw, ceil=ceil, floor=floor,
                 Any=Any, Dict=Dict, List=List, Optional=Optional, Union=typing.Union,
                 print=lambda *a, **k: None, isinstance=isinstance)
    space.update(extra or {})
    for node in tree.body:
        name = getattr(node, "name", None) or (node.targets[0].id if isinstance(node, ast.Assign)
                                              and isinstance(node.targets[0], ast.Name) else None)
        if name in names:
            if hasattr(node, "decorator_list"):
                node.decorator_list = []
            exec(compile(ast.Module([node], []), path, "exec"), space)
            found[name] = space[name]
    missing = set(names) - set(found)
    assert not missing, missing
    return types.SimpleNamespace(**found)


class ToolBase:
    def __init__(self, name=None, **kwargs):
        pass


def picture(w, h, channels):
    x, y = np.meshgrid(np.arange(w), np.arange(h))
    planes = [((x * 7 + y * 13 + c * 29 + (x * y) % 31) % 256).astype(np.uint8) for c in range(channels)]
    return Image.fromarray(planes[0]) if channels == 1 else Image.fromarray(np.stack(planes, -1))


def key(image):
    a = np.asarray(image)
    channels = 1 if a.ndim == 2 else a.shape[2]
    head = struct.pack("<QQQ", image.width, image.height, channels)
    return hashlib.sha256(head + a.tobytes()).hexdigest()


def shown(image, before=None):
    return {"size": list(image.size), "before": list((before or image).size), "sha256": key(before or image)}


def strip_chat(prompt):
    """The user turn inside a piece of ChatML."""
    return re.search(r"<\|im_start\|>user\n(.*?)<\|im_end\|>", prompt, re.S).group(1)


cases = []


def case(protocol, size, replies, question="Where is the lesion?", options=()):
    cases.append(dict(protocol=protocol, size=list(size), question=question, options=list(options), replies=replies,
                      open=None, turns=[], answer=None))
    return cases[-1]


# --- ViTAR ---------------------------------------------------------------------------------------
vitar = take(f"{VITAR}/verl/workers/agent/envs/mm_process_engine/visual_toolcrop.py", ["VisualToolCrop"],
             dict(ToolBase=ToolBase))
system = next(n.value.value for n in ast.parse(open(f"{VITAR}/inference.py").read()).body
              if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "system_prompt")


def act(name, arguments):
    return json.dumps({"thought": "t", "actions": [{"name": name, "arguments": arguments}]})


done = act("Terminate", {"answer": "B"})
for size in [(96, 64, 3), (50, 70, 1)]:
    for replies in [
        [act("mark_bbox", {"box": [[10, 12, 40, 30], [5.7, 3.2, 90.5, 60.9]]}), done],
        [act("mark_bbox", {"box": [[-4, -6, 3, 5], [44, 58, 300, 400]]}), done],
        [act("mark_bbox", {"box": [[30, 12, 10, 20]]}), done],
        [act("mark_bbox", {"box": [[1, 2, 3]]}), done],
        [act("mark_bbox", {"box": [1, 2, 3, 4]}), done],
        [act("mark_bbox", {"boxes": []}), done],
        ["I see a lesion.", done],
        ["{\"actions\": [}", done],
        ["{\"actions\": []}", done],
        [done],
    ]:
        c = case("vitar", size, replies, options=["left", "right"])
        text = c["question"].strip() + "\nOptions:\n" + "\n".join(f"{chr(65+i)} {o}" for i, o in enumerate(c["options"]))
        c["open"] = {"system": system, "user": "P" + text}
        tool = vitar.VisualToolCrop("", "", {})
        image = picture(*size)
        tool.reset(None, {"image": [image]}, {"image": [image]})
        for reply in replies:
            obs, _, finished, info = tool.execute(reply)
            if finished:
                c["answer"] = re.fullmatch("<answer>(.*)</answer>", obs).group(1)
                break
            if isinstance(obs, str):
                c["turns"].append({"user": strip_chat(obs), "picture": None})
            else:
                c["turns"].append({"user": strip_chat(obs["prompt"]).replace("<image>", "P"),
                                   "picture": shown(obs["multi_modal_data"]["image"][0])})
inference = json.loads(json.dumps(cases[0]))
inference["protocol"] = "vitar-inference"
inference["turns"][0]["user"] = inference["turns"][0]["user"][1:] + "P"  # inference.py: words, then picture
inference["answer"] = "B"  # only the second response is scored (eval_medvqa.py)
cases.append(inference)

# --- DeepEyes ------------------------------------------------------------------------------------
deep = take(f"{DEEPEYES}/eval/eval_vstar.py",
            ["instruction_prompt_system", "USER_PROMPT_V2", "instruction_prompt_before", "round_by_factor", "ceil_by_factor",
             "floor_by_factor", "smart_resize", "IMAGE_FACTOR", "MIN_PIXELS", "MAX_PIXELS"])


def zoom(box, name="image_zoom_in_tool"):
    return "<think>hm</think><tool_call>" + json.dumps({"name": name, "arguments": {"bbox_2d": box, "label": "x"}}) + "</tool_call>"


for replies in [
    [zoom([50, 60, 150, 200]), zoom([0, 0, 399, 299]), "<think>ok</think><answer> left </answer>"],
    [zoom([-20, -10, 60, 50]), "<answer>right</answer>"],
    [zoom([10.5, 20.5, 31.5, 90.49]), "<answer>a</answer>"],
    [zoom([380, 280, 500, 400]), "<answer>a</answer>"],
]:
    c = case("deepeyes", (400, 300, 3), replies, options=["left", "right"])
    options = "\n" + "".join(f"{chr(65+i)}. {o}\n" for i, o in enumerate(c["options"]))
    c["open"] = {"system": deep.instruction_prompt_system,
                 "user": "P" + deep.instruction_prompt_before.format(question=c["question"], options=options)}
    image = picture(400, 300, 3)
    for reply in replies:
        if "</answer>" in reply and "<answer>" in reply:
            c["answer"] = reply.split("<answer>")[1].split("</answer>")[0].strip()
            break
        left, top, right, bottom = json.loads(reply.split("<tool_call>")[1].split("</tool_call>")[0])["arguments"]["bbox_2d"]
        before = image.crop((left, top, right, bottom))
        w, h = deep.smart_resize((right - left), (bottom - top), factor=deep.IMAGE_FACTOR)
        c["turns"].append({"user": "<tool_response>P" + deep.USER_PROMPT_V2 + "</tool_response>",
                           "picture": shown(before.resize((w, h), resample=Image.BICUBIC), before)})

folder = f"{DEEPEYES}/verl/workers/agent/envs/mm_process_engine"
prompt = take(f"{folder}/prompt.py", ["PROMPT"]).PROMPT
box = take(f"{folder}/visual_toolbox_v2.py", ["VisualToolBoxV2"], dict(ToolBase=ToolBase, PROMPT=prompt)).VisualToolBoxV2
for replies in [
    [zoom([50, 60, 150, 200]), "<answer> left </answer>"],
    [zoom([-20, -10, 60, 50]) + zoom([100, 100, 200, 150]), "<answer>a</answer><answer>b</answer>"],
    [zoom([10, 10, 40, 80]), zoom([10, 10, 41, 80]), zoom([100, 50, 90, 120]), "<answer>a</answer>"],
    [zoom([0, 0, 50, 50], "image_blur_tool"), "<answer>a</answer>"],
    ['<tool_call>{"name": "image_zoom_in_tool"}</tool_call>', '<tool_call>{"arguments": {}}</tool_call>',
     '<tool_call>{"name": "image_zoom_in_tool", "arguments": {}}</tool_call>', "<answer>a</answer>"],
]:
    c = case("deepeyes-training", (400, 300, 3), replies)
    tool = box("", "", {})
    image = picture(400, 300, 3)
    tool.reset(None, None, {"image": [image]})
    assert prompt.SYSTEM_PROMPT_V2 == deep.instruction_prompt_system
    # The first prompt of training is in the data, not in the repository: that of evaluation, without options.
    c["open"] = {"system": prompt.SYSTEM_PROMPT_V2, "user": f"PQuestion: {c['question']}\n{prompt.USER_PROMPT_V2}"}
    for reply in replies:
        obs, _, finished, info = tool.execute(reply)
        if finished:
            c["answer"] = tool.extract_answer(reply).strip()
            break
        if isinstance(obs, str):
            c["turns"].append({"user": strip_chat(obs), "picture": None})
        else:
            c["turns"].append({"user": strip_chat(obs["prompt"]).replace("<image>", "P"),
                               "picture": shown(obs["multi_modal_data"]["image"][0])})

# --- Mini-o3 -------------------------------------------------------------------------------------
const = take(f"{MINI}/verl/trainer/constants.py", ["TOOL_CROP_SYSTEM_PROMPT", "TOOL_CALL_CROP_MULTI_TRUN_PROMPT",
                                                   "ERROR_INFO_MULTI_TURN_PROMPT"])
tools = take(f"{MINI}/verl/workers/rollout/vllm_rollout/function_tools.py", ["crop_image", "prepare_grounding_inputs_multi_turn"])
engine = take(f"{MINI}/verl/workers/rollout/vllm_rollout/vllm_async_engine.py", ["process_image"])
first = take(f"{MINI}/verl/utils/dataset/multimodal_dataset.py", ["process_image"])
BOUNDS = dict(max_pixels=2000000, min_pixels=40000)  # README


def ground(b, source="original_image"):
    return "<think>hm</think><grounding>" + json.dumps({"bbox_2d": b, "source": source}) + "</grounding>"


for size, replies in [
    ((300, 200, 3), [ground([0.1, 0.2, 0.5, 0.6]), ground([0.25, 0.1, 0.9, 0.8], "observation_1"),
                     ground([0.0, 0.0, 1.0, 1.0], "observation_2"), "<think>ok</think><answer>left</answer>"]),
    ((300, 200, 3), [ground([0.5, 0.2, 0.4, 0.6]), ground([0.2, 0.6, 0.4, 0.6]), ground([0.1, 0.2, 0.5, 0.6], "observation_3"),
                     ground([0.1, 0.2, 0.5, 0.6], "photo"), ground([0.1, 0.2, 0.5]), "<grounding>nothing</grounding>",
                     ground([0.3, 0.3, 0.6, 0.9]), "<answer>x</answer>"]),
    ((1000, 300, 3), [ground([0.0, 0.5, 1.0, 0.51]), ground([0.0, 0.5, 1.0, 0.52]), "<answer>x</answer>"]),
    ((120, 90, 3), [ground([-0.5, 0.2, 3.0, 0.6]), "<answer>x</answer>"]),
]:
    c = case("mini-o3", size, replies)
    c["open"] = {"system": const.TOOL_CROP_SYSTEM_PROMPT, "user": "P\n" + c["question"]}
    original = picture(*size)
    seen = first.process_image(np.asarray(original), **BOUNDS)
    c["first"] = shown(seen, original)
    observations, used = [original], [seen.size]
    for n, reply in enumerate(replies):
        if "<grounding>" not in reply:
            c["answer"] = re.search("<answer>(.*)</answer>", reply).group(1)
            break
        try:
            match = re.match(".*<grounding>{\"bbox_2d\": (.*),.*\"source\": [\',\"](.*)[\',\"]}</grounding>", reply, re.DOTALL)
            args = [{"bbox_2d": eval(match.group(1)), "source": match.group(2)}]
            _, (image, where) = tools.prepare_grounding_inputs_multi_turn(args, observations, used, use_relative_coordinates=True)
        except Exception as e:
            c["turns"].append({"user": f"ERROR occurs during grounding. Error Information: {e}.\n" + const.ERROR_INFO_MULTI_TURN_PROMPT,
                               "picture": None})
            continue
        crop = tools.crop_image(image, where, used, resize=1)
        observations.append(crop)
        view = engine.process_image(crop, **BOUNDS)
        used.append(view.size)
        text = const.TOOL_CALL_CROP_MULTI_TRUN_PROMPT.format(action_turn=n, observation_turn=n + 1)
        c["turns"].append({"user": text.replace("<|vision_start|><|image_pad|><|vision_end|>", "P"), "picture": shown(view)})

# --- Pixel-Reasoner ------------------------------------------------------------------------------
maker = f"{PIXEL}/curiosity_driven_rl/openrlhf/trainer/ppo_utils/experience_maker.py"
qwen = dict(IMAGE_FACTOR=28, smart_resize=lambda height, width, factor, min_pixels, max_pixels:
            deep.smart_resize(height, width, factor, min_pixels, max_pixels), BaseTool=ToolBase)
pixel = take(maker, ["CropImageNormalized", "parse_last_tool", "execute_tool", "to_rgb", "resize_cropped", "tool_start", "tool_end"], qwen)
template = take(f"{PIXEL}/curiosity_driven_rl/openrlhf/datasets/prompts_dataset.py", ["templates"]).templates["vcot"]
select = take(maker, ["SelectFrames"], qwen).SelectFrames


def function(tool, name):
    return {"type": "function", "function": {"name": name, "description": tool().description, "parameters": tool.parameters}}


lines = "\n".join(json.dumps(function(t, n), ensure_ascii=False)
                  for t, n in [(pixel.CropImageNormalized, "crop_image_normalized"), (select, "select_frames")])
nous = ("You are a helpful assistant.\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
        "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n" + lines + "\n</tools>\n\n"
        "For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n"
        "<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>")


def look(b, target, name="crop_image_normalized"):
    return "hm\n<tool_call>\n" + json.dumps({"name": name, "arguments": {"bbox_2d": b, "target_image": target}}) + "\n</tool_call>"


for size, replies in [
    ((300, 200, 3), [look([0.1, 0.2, 0.5, 0.6], 1), look([0.3, 0.3, 0.6, 0.7], 2), "so \\boxed{left \\frac{1}{2}}"]),
    ((300, 200, 3), [look([30, 40, 150, 120], 1), look([0.1, 0.2, 0.3, 0.4], 5), "\\boxed{a}"]),
    ((120, 90, 3), [look([0.99, 0.2, 0.995, 0.3], 1), look([0.8, 0.2, 0.3, 0.3], 1), look([0.2, 0.2, 0.9, 0.8], 1), "\\boxed{a}"]),
    ((300, 200, 3), ["<tool_call>{\"name\": \"select_frames\", \"arguments\": {\"target_frames\": [1]}}</tool_call>", "\\boxed{a}"]),
]:
    c = case("pixel-reasoner", size, replies)
    c["open"] = {"system": nous, "user": "P" + c["question"] + "\n\n" + template}
    images = [picture(*size)]
    for reply in replies:
        if not reply.endswith(pixel.tool_end):
            c["answer"] = reply[reply.index("\\boxed{") + 7:-1]
            break
        try:
            call = pixel.parse_last_tool(reply)
            crop = pixel.execute_tool(images, images[:1], call["arguments"], call["name"], False,
                                      lambda image, b: pixel.CropImageNormalized().call(image, b))
            view = pixel.resize_cropped(crop, min_pixels=256 * 28 * 28, max_pixels=5120 * 28 * 28)
        except Exception as e:
            c["turns"].append({"user": f"\nExecution error:\n{e}\n", "picture": None})
            continue
        images.append(view)
        c["turns"].append({"user": "\nHere is the cropped image (Image Size: {}x{}):P".format(*view.size),
                           # a crop of a resized picture depends on the resize: only its size is on record
                           "picture": shown(view, crop) if call["arguments"]["target_image"] == 1
                           else {"size": list(view.size), "before": list(crop.size), "sha256": None}})

# --- Qwen3-VL's zoom -----------------------------------------------------------------------------
class Item:
    """`ContentItem` and `Message` of qwen-agent, as far as they are needed."""
    def __init__(self, text=None, image=None, role=None, content=None, function_call=None, reasoning_content=None, extra=None,
                 name=None, arguments=None):
        self.__dict__.update(locals())

    def get_type_and_value(self):
        return ("text", self.text) if self.text is not None else ("image", self.image)


nous_file = f"{AGENT}/qwen_agent/llm/fncall_prompts/nous_fncall_prompt.py"
roles = dict(ASSISTANT="assistant", FUNCTION="function", SYSTEM="system", USER="user", ContentItem=Item, Message=Item,
             FunctionCall=Item, BaseFnCallPrompt=object, copy=copy, os=os, json5=json, Literal=Literal,
             logger=types.SimpleNamespace(warning=lambda *a: None))
nous_prompt = take(nous_file, ["FN_CALL_TEMPLATE", "SPECIAL_CODE_MODE", "CODE_TOOL_PATTERN", "extract_fn", "NousFnCallPrompt"], roles)


class Tool:
    def __init__(self):
        self.work_dir = tempfile.mkdtemp()

    def _verify_json_format_args(self, params):
        return json.loads(params)


def of_user(messages):
    """The pictures that the user gave: so the model counts them (QwenLM/Qwen3-VL issue 1667)."""
    return [item.image for message in messages if message.role == "user" for item in message.content if item.image]


zoom_tool = take(f"{AGENT}/qwen_agent/tools/image_zoom_in_qwen3vl.py", ["ImageZoomInToolQwen3VL"],
                 dict(BaseToolWithFileAccess=Tool, ContentItem=Item, extract_images_from_messages=of_user, os=os,
                      uuid=uuid, BytesIO=BytesIO, requests=None,
                      logger=types.SimpleNamespace(warning=lambda *a: None))).ImageZoomInToolQwen3VL()
notebook = json.load(open(NOTEBOOK))
cell = next("".join(c["source"]) for c in notebook["cells"] if "analysis_prompt = " in "".join(c["source"]))
analysis = next(n.value.value for n in ast.parse(cell).body
                if isinstance(n, ast.Assign) and n.targets[0].id == "analysis_prompt")
FUNCTION_OF = {"name": "image_zoom_in_tool", "description": zoom_tool.description, "parameters": zoom_tool.parameters}


def call(b, index=0, label="spot"):
    return "<tool_call>\n" + json.dumps({"name": "image_zoom_in_tool",
                                         "arguments": {"bbox_2d": b, "label": label, "img_idx": index}}) + "\n</tool_call>"


for size, replies in [
    ((640, 480, 3), ["Let me look.\n\n" + call([100, 200, 500, 750]), call([0, 0, 1000, 1000]), call([250, 250, 260, 251]), "It is left."]),
    ((640, 480, 3), ["both\n" + call([0, 0, 300.5, 400]) + "\n" + call([700, 600, 1200, 1100]), "Left."]),
    ((640, 480, 3), [call([500, 200, 100, 750]), call([0, 0, 5, 5]), call([990, 990, 1000, 1000]), "Left."]),
    ((50, 40, 1), [call([0, 0, 1000, 1000]), call([400, 400, 600, 600]), "Left."]),
    ((640, 480, 3), ["<think>I could " + call([1, 2, 3, 4]) + "</think>\n" + call([300, 300, 700, 700], -1), "<think>fine</think>\nLeft."]),
    ((300, 200, 3), ["first " + call([100, 100, 600, 600]) + call([600, 100, 100, 600]), "Left."]),
    ((300, 200, 3), [call([100, 100, 100, 600]), "Left."]),
]:
    c = case("qwen3-zoom", size, replies)
    messages = [Item(role="system", content=[Item(text=analysis)]), Item(role="user", content=[])]
    system_turn = nous_prompt.NousFnCallPrompt().preprocess_fncall_messages(messages, [FUNCTION_OF], "en")[0]
    c["open"] = {"system": "".join(i.text for i in system_turn.content), "user": "P" + c["question"]}
    path = f"{zoom_tool.work_dir}/given.png"
    original = picture(*size)
    original.save(path)
    given = [Item(role="user", content=[Item(image=path)])]
    for reply in replies:
        out = nous_prompt.NousFnCallPrompt().postprocess_fncall_messages([Item(role="assistant", content=[Item(text=reply)])])
        asked = [m.function_call for m in out if m.function_call]
        if not asked:
            c["answer"] = reply.split("</think>")[-1].strip()
            break
        results, views = [Item(role="assistant", content=[])], []
        for one in asked:
            [item] = zoom_tool.call(one.arguments, messages=given)
            if item.image:
                view = Image.open(item.image).convert(original.mode)
                b = json.loads(one.arguments)["bbox_2d"]
                w, h = original.size
                cut = original.crop(zoom_tool.maybe_resize_bbox(b[0] / 1000. * w, b[1] / 1000. * h, b[2] / 1000. * w, b[3] / 1000. * h, w, h))
                views.append(shown(view, cut))
                item = Item(text="P")
            results.append(Item(role="function", content=[item]))
        turn = nous_prompt.NousFnCallPrompt().preprocess_fncall_messages(results, [FUNCTION_OF], "en")[-1]
        c["turns"].append({"user": "".join(i.text for i in turn.content), "picture": None, "pictures": views})

# --- IBISAgent -----------------------------------------------------------------------------------
ibis_system = take(f"{IBIS}/infer/multi_turn.py", ["SYSTEM_PROMPT", "overlay_mask"])
source = open(f"{IBIS}/infer/mllm_engine.py").read()
engine_class = next(n for n in ast.parse(source).body if isinstance(n, ast.ClassDef))
parse_output = next(n for n in engine_class.body if getattr(n, "name", "") == "parse_output")
space = dict(re=re)
exec(compile(ast.Module([parse_output], []), "mllm_engine.py", "exec"), space)
refine = next(n for n in ast.walk(engine_class) if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "refinement_prompt")


def refinement(user_prompt):
    at = dict(user_prompt=user_prompt)
    exec(compile(ast.Module([refine], []), "mllm_engine.py", "exec"), at)
    return at["refinement_prompt"]


def squares(size, clicks):
    """What the tests' segmenter makes of clicks: 5 × 5 pixels about each positive one."""
    mask = np.zeros((size[1], size[0]), bool)
    for (x, y), label in clicks:
        if label:
            ys, xs = np.mgrid[0:size[1], 0:size[0]]
            mask |= (abs(xs + 0.5 - x) <= 2.5) & (abs(ys + 0.5 - y) <= 2.5)
    return mask


def click(what, x, y):
    return f"<think>here</think><action>{what} Point ({x}, {y})</action>"


done = "<think>good</think><action>Terminate</action><answer>The lesion is on the left.</answer>"
for name, size, replies in [
    ("ibis", (96, 64, 3), [click("Positive", "0.5000", "0.2500"), click("Negative", "0.1000", "0.9000"), click("Positive", "0.7521", "0.3333"), done]),
    ("ibis", (51, 70, 1), [click("Positive", "0.0", "1.0000"), done]),
    ("ibis", (96, 64, 3), [done]),
    ("ibis", (96, 64, 3), [click("Positive", "0.5000", "0.2500"), click("Positive", "0.5000", "0.2500"), click("Positive", "0.5", "0.25")]),
    ("ibis", (96, 64, 3), [click("Positive", "0.5000", "0.2500"), "<action>Positive Point at (left, 3) then (0.25,   0.75) or (1, 2)</action>", done]),
    ("ibis", (96, 64, 3), ["<action>Neutral Point (0.5, 0.5)</action>"]),
    ("ibis", (96, 64, 3), ["I am not sure."]),
    ("ibis-medsam2", (96, 64, 3), [click("Positive", "0.5000", "0.2500"), done]),
]:
    c = case(name, size, replies)
    c["alone"] = True  # every round begins anew
    c["open"] = {"system": ibis_system.SYSTEM_PROMPT, "user": "P<image>" + c["question"]}
    image, clicks, history = picture(*size).convert("RGB"), [], []
    for reply in replies:
        parsed = space["parse_output"](None, reply)
        if parsed["action_type"] == "Terminate":
            c["answer"] = re.search("<answer>(.*)</answer>", reply).group(1)
            break
        if parsed["action_type"] is None or parsed["coords"] is None:
            c["answer"] = reply  # the source ends without words; here the reply stands
            break
        history.append((parsed["action_type"], parsed["coords"]))
        if len(history) >= 3 and len(set(history[-3:])) == 1:
            c["answer"] = reply.split("</think>")[1]
            break
        x, y = parsed["coords"]
        clicks.append(([int(x * image.size[0]), int(y * image.size[1])], 1 if parsed["action_type"] == "Positive" else 0))
        mask = squares(image.size, clicks)
        view = ibis_system.overlay_mask(image, mask)
        c["turns"].append({"user": "P" + refinement(c["question"]), "picture": shown(view)})
        c["mask"] = int(mask.sum())

# --- Ophiuchus -----------------------------------------------------------------------------------
env = f"{OPHIUCHUS}/agent_system/environments"
words = {}
exec(open(f"{env}/prompts/medical_agent.py").read(), words)


class Client:
    """Answers as the tests' segmenter does: the box itself is the mask."""
    def __init__(self, *args):
        pass

    def run(self, endpoint, payload, expect_binary=False):
        with Image.open(payload["image"]) as image:
            ys, xs = np.mgrid[0:image.height, 0:image.width]
        if endpoint != "/segment":
            raise RuntimeError("tests takes no phrase prompts")
        x0, y0, x1, y1 = payload["bbox"]
        mask = (xs + 0.5 >= x0) & (xs + 0.5 < x1) & (ys + 0.5 >= y0) & (ys + 0.5 < y1)
        out = BytesIO()
        np.savez(out, masks=mask[None].astype(np.uint8), scores=np.array([0.9]))
        return out.getvalue()


worker_space = {**words, "gym": None, "ray": None, "requests": None, "os": os, "copy": copy, "io": io, "shutil": shutil,
                "uuid": uuid, "Path": Path, "Tuple": typing.Tuple, "MedicalToolClient": Client}
worker = take(f"{env}/env_package/medical_agent/envs.py", ["DEFAULT_TOOLS", "DEFAULT_TOOL_ENDPOINTS", "_default_cases", "_read_image_size",
                                                          "_load_image_array", "MedicalAgentWorker"], worker_space).MedicalAgentWorker


def tool_call(tool, *calls):
    return f"<think>hm</think> Action: {tool}\n```json\n" + json.dumps(list(calls), indent=4) + "\n```"


final = "<think>ok</think> Action: Answer\n<answer> B </answer>"
for size, replies in [
    ((96, 64, 3), [tool_call("Zoom-in", {"index": 1, "bbox_2d": [10, 12, 60.7, 50]}), tool_call("SAM2", {"index": 2, "bbox_2d": [5, 5, 20, 20]}), final]),
    ((96, 64, 3), [tool_call("SAM2", {"index": 1, "bbox_2d": [10, 12, 40, 30]}), tool_call("Zoom-in", {"index": 2, "bbox_2d": [-5, -5, 400, 40]}), final]),
    ((96, 64, 3), [tool_call("Zoom-in", {"index": 3, "bbox_2d": [10, 12, 60, 50]}), tool_call("Zoom-in", {"index": 1, "bbox_2d": [10, 12, 5]}),
                   tool_call("Zoom-in", {"index": 1, "bbox_2d": [60, 12, 10, 50], "why": "it's \"odd\"", "n": None, "ok": True}), final]),
    ((96, 64, 3), ["<think>a</think> Action: zoom\nnothing", ]),
    ((96, 64, 3), ["<think>a</think> action : Zoom-in\n```json\n{\"bbox_2d\": [1, 2, 30, 40] # the left\n}\n```", final]),
    ((50, 70, 1), [final]),
]:
    c = case("ophiuchus", size, replies, options=["left", "right"])
    folder = Path(tempfile.mkdtemp())
    image = picture(*size)
    image.save(folder / "given.png")
    agent = worker(0, {"output_dir": str(folder)})
    agent.reset({"question": c["question"], "options": ["(A) left", "(B) right"], "image_path": [str(folder / "given.png")]})
    system_turn, user_turn = [m["content"] for m in agent._messages]
    c["open"] = {"system": system_turn, "user": user_turn.replace("<image>", "P")}
    for reply in replies:
        before, images = len(agent._messages), len(agent._images)
        agent.step(reply)
        news = [m["content"].replace("<image>", "P") for m in agent._messages[before + 1:]]
        if not news:
            c["answer"] = "B" if reply is final else reply.split("</think>")[1].strip()
            break
        views = [Image.open(meta["path"]) for meta in agent._images[images:]]
        turn = {"user": "\n".join(news), "picture": None}
        if views:
            turn["picture"] = shown(views[0].convert("RGB") if "overlay" in agent._images[images]["path"] else views[0])
        c["turns"].append(turn)

# --- Pillow's rectangles -------------------------------------------------------------------------
marks = []
for channels in (1, 3):
    for b in [(2, 3, 9, 8), (2, 3, 3, 4), (2, 3, 2, 3), (-2, -3, 5, 4), (5, 5, 40, 40), (2.7, 3.2, 9.9, 8.5), (1, 1, 5, 5),
              (0, 0, 22, 16), (3, 3, 7, 4), (-2.5, 1.5, 4.5, 30.2), (30, 30, 40, 40), (-9, -9, -2, -2), (4, 4, 4, 12)]:
        image = picture(23, 17, channels)
        ImageDraw.Draw(image).rectangle(b, outline=255 if channels == 1 else (255, 0, 0), width=3)
        marks.append({"channels": channels, "box": list(b), "sha256": key(image)})
json.dump({"cases": cases, "marks": marks}, sys.stdout, indent=1, ensure_ascii=False)
