"""What jinja2 makes of the families' chat templates, for the unit tests of `src/template.rs`.

    python make.py        (transformers 5.23, jinja2 3.1)

`qwen_vl.jinja` is the template that the instruction-tuned Qwen2-VL and Qwen2.5-VL checkpoints carry; `qwen2_5_tools.jinja`
has the constructs of the text-only Qwen2.5 template (tools, `tojson`, `loop`, whitespace control, Python methods).
"""
import json, pathlib
from transformers.utils.chat_template_utils import render_jinja_template

HERE = pathlib.Path(__file__).parent
QWEN_VL = (
    "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    "{% set image_count.value = image_count.value + 1 %}{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif content['type'] == 'video' or 'video' in content %}"
    "{% set video_count.value = video_count.value + 1 %}{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}"
    "<|vision_start|><|video_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
TOOLS = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
{%- elif messages[0]['role'] != 'system' %}
    {{- '<|im_start|>system\\nYou are Qwen.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == "assistant" and '</think>' in message.content %}
        {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
    {%- else %}
        {%- set content = message.content %}
    {%- endif %}
    {%- if not content is string %}
        {%- set parts = namespace(text='') %}
        {%- for part in content %}{% set parts.text = parts.text + (part.text if part.type == 'text' else '<|image_pad|>') %}{% endfor %}
        {%- set content = parts.text | trim %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role + '\\n' + content.strip() + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
text = lambda t: {"type": "text", "text": t}
image = {"type": "image"}
CONVERSATIONS = [
    [{"role": "user", "content": [image, text("What is shown?")]}],
    [{"role": "user", "content": "only words, é and <b>"}],
    [{"role": "system", "content": "Be short."}, {"role": "user", "content": [text("left"), image, image, text(" right\n")]},
     {"role": "assistant", "content": "<think>hm</think>\n\nyes  "}, {"role": "user", "content": "sure? 'quoted' \"twice\""}],
]
cases = []
for name, template in [("qwen_vl", QWEN_VL), ("qwen2_5_tools", TOOLS)]:
    (HERE / f"{name}.jinja").write_text(template)
    for messages in CONVERSATIONS:
        out, _ = render_jinja_template([messages], chat_template=template, add_generation_prompt=True)
        cases.append(dict(template=name, messages=messages, rendered=out[0]))
(HERE / "cases.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")
