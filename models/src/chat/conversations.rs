//! Conversations that models with code of their own were tuned on, as chat templates. The authors keep them in their
//! programs (`llava/conversation.py` of LLaVA, LLaVA-Med and LLaVA-NeXT; `cli.py` of HuatuoGPT-Vision); what their
//! checkpoints hold as a template is that of the text model, for words alone. A picture is `<image>` and an end of line.

/// A way of writing turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conversation {
    /// The authors' name of it.
    pub(crate) name: &'static str,
    /// The token before it, which the authors leave to the tokenizer; none where it is written or there is none.
    pub(crate) begin: Option<&'static str>,
    /// What it writes, after [`WORDS`].
    turns: &'static str,
}

/// The macro `words` of a turn's content.
const WORDS: &str = "\
{%- macro words(content) -%}
{%- if content is string -%}{{- content -}}
{%- else -%}
{%- for part in content -%}
{%- if part.type == 'image' -%}{{- '<image>\n' -}}
{%- else -%}{{- part.text -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{%- set own = messages[0].role == 'system' -%}
{%- set turns = messages[1:] if own else messages -%}
";

impl Conversation {
    /// The chat template.
    pub(crate) fn template(self) -> String {
        format!("{WORDS}{}", self.turns)
    }
}

/// LLaVA-Med 1.5 and others on Mistral: no system prompt unless one is asked for.
pub(crate) const MISTRAL_INSTRUCT: Conversation = Conversation {
    name: "mistral_instruct",
    begin: Some("<s>"),
    turns: "\
{%- for turn in turns -%}
{%- if turn.role == 'assistant' -%}{{- ' ' ~ words(turn.content) ~ ' </s>' -}}
{%- else -%}
{{- '[INST] ' -}}
{%- if loop.first and own -%}{{- '<<SYS>>\n' ~ words(messages[0].content) ~ '\n<</SYS>>\n\n' -}}{%- endif -%}
{{- words(turn.content) ~ ' [/INST]' -}}
{%- endif -%}
{%- endfor -%}
",
};

/// LLaVA 1.5 on Vicuna.
pub(crate) const VICUNA_V1: Conversation = Conversation {
    name: "vicuna_v1",
    begin: Some("<s>"),
    turns: "\
{{- words(messages[0].content) if own else \"A chat between a curious user and an artificial intelligence assistant. \
    The assistant gives helpful, detailed, and polite answers to the user's questions.\" -}}
{{- ' ' -}}
{%- for turn in turns -%}
{%- if turn.role == 'assistant' -%}{{- 'ASSISTANT: ' ~ words(turn.content) ~ '</s>' -}}
{%- else -%}{{- 'USER: ' ~ words(turn.content) ~ ' ' -}}{%- endif -%}
{%- endfor -%}
{{- 'ASSISTANT:' -}}
",
};

/// BiMediX2 and others on Llama 3.
pub(crate) const LLAVA_LLAMA_3: Conversation = Conversation {
    name: "llava_llama_3",
    begin: None,
    turns: "\
{{- bos_token or '<|begin_of_text|>' -}}
{%- set system = words(messages[0].content) if own else 'You are a helpful language and vision assistant. You are able to \
    understand the visual content that the user provides, and assist the user with a variety of tasks using natural \
    language.' -%}
{{- '<|start_header_id|>system<|end_header_id|>\n\n' ~ (system | trim) ~ '<|eot_id|>' -}}
{%- for turn in turns -%}
{{- '<|start_header_id|>' ~ turn.role ~ '<|end_header_id|>\n\n' ~ (words(turn.content) | trim) ~ '<|eot_id|>' -}}
{%- endfor -%}
{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}
",
};

/// LLaVA-NeXT on Qwen.
pub(crate) const QWEN_1_5: Conversation = Conversation {
    name: "qwen_1_5",
    begin: None,
    turns: "\
{{- '<|im_start|>system\n' ~ (words(messages[0].content) if own else 'You are a helpful assistant.') ~ '<|im_end|>\n' -}}
{%- for turn in turns -%}
{{- '<|im_start|>' ~ turn.role ~ '\n' ~ words(turn.content) ~ '<|im_end|>\n' -}}
{%- endfor -%}
{{- '<|im_start|>assistant\n' -}}
",
};

/// HuatuoGPT-Vision. It was tuned without system prompts; one that is asked for stands before the first question.
pub(crate) const HUATUO: Conversation = Conversation {
    name: "huatuo",
    begin: None,
    turns: "\
{%- for turn in turns -%}
{%- if turn.role == 'assistant' -%}{{- '<|assistant|>\n' ~ words(turn.content) ~ ' \n' -}}
{%- else -%}
{{- '<|user|>\n' -}}
{%- if loop.first and own -%}{{- words(messages[0].content) ~ '\n' -}}{%- endif -%}
{{- (words(turn.content) | trim) ~ '\n' -}}
{%- endif -%}
{%- endfor -%}
{{- '<|assistant|>\n' -}}
",
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::chat::template::ChatTemplate;
    use loupe_core::{Part, Role, Turn};

    fn written(conversation: Conversation, system: bool) -> String {
        let template = ChatTemplate::new(&conversation.template(), Vec::new()).unwrap();
        let picture = || Part::Picture(0);
        let mut turns = vec![
            Turn { role: Role::User, parts: vec![picture(), picture(), Part::Text("What?".into())] },
            Turn::text(Role::Assistant, "A lung."),
            Turn::text(Role::User, "Sure?"),
        ];
        if system {
            turns.insert(0, Turn::text(Role::System, "Be brief."));
        }
        template.render(&turns, &str::to_owned, false).unwrap()
    }

    #[test]
    fn turns_are_written_as_the_authors_write_them() {
        assert_eq!(
            written(MISTRAL_INSTRUCT, false),
            "[INST] <image>\n<image>\nWhat? [/INST] A lung. </s>[INST] Sure? [/INST]"
        );
        assert_eq!(
            written(MISTRAL_INSTRUCT, true),
            "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n<image>\n<image>\nWhat? [/INST] A lung. </s>[INST] Sure? [/INST]"
        );
        assert_eq!(
            written(VICUNA_V1, false),
            "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, \
             detailed, and polite answers to the user's questions. USER: <image>\n<image>\nWhat? ASSISTANT: A \
             lung.</s>USER: Sure? ASSISTANT:"
        );
        assert_eq!(
            written(LLAVA_LLAMA_3, true),
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user\
             <|end_header_id|>\n\n<image>\n<image>\nWhat?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA \
             lung.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nSure?<|eot_id|><|start_header_id|>assistant\
             <|end_header_id|>\n\n"
        );
        let by_default = written(LLAVA_LLAMA_3, false);
        assert!(
            by_default
                .contains("understand the visual content that the user provides, and assist the user with a")
        );
        assert_eq!(
            written(QWEN_1_5, false),
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n<image>\n<image>\nWhat?\
             <|im_end|>\n<|im_start|>assistant\nA lung.<|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n\
             <|im_start|>assistant\n"
        );
        assert_eq!(
            written(HUATUO, false),
            "<|user|>\n<image>\n<image>\nWhat?\n<|assistant|>\nA lung. \n<|user|>\nSure?\n<|assistant|>\n"
        );
        assert!(written(HUATUO, true).starts_with("<|user|>\nBe brief.\n<image>\n"));
    }
}
