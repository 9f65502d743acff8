//! ChatML as the stand-in for a template that a checkpoint lacks.

/// The template of ChatML: `$system` is what stands before the first message, `$picture` what stands for a picture, `$other`
/// branches for other parts.
macro_rules! chat_ml {
    ($system:literal, $picture:literal) => {
        $crate::chat::chat_ml::chat_ml!($system, $picture, "")
    };
    ($system:literal, $picture:literal, $other:literal) => {
        concat!(
            "{%- for message in messages -%}\n",
            $system,
            "{{- '<|im_start|>' ~ message.role ~ '\n' -}}\n",
            "{%- if message.content is string -%}{{- message.content -}}\n",
            "{%- else -%}\n",
            "{%- for part in message.content -%}\n",
            "{%- if part.type == 'image' -%}{{- '",
            $picture,
            "' -}}\n",
            $other,
            "{%- else -%}{{- part.text -}}{%- endif -%}\n",
            "{%- endfor -%}\n",
            "{%- endif -%}\n",
            "{{- '<|im_end|>\n' -}}\n",
            "{%- endfor -%}\n",
            "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}\n",
        )
    };
}
pub(crate) use chat_ml;
