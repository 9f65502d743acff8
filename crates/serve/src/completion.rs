//! A reply as a chat completion or its chunks.

use crate::chat::Shape;
use loupe_core::model::Vocabulary;
use loupe_core::{GenerationLimits, Reply, Sampling, Stop, TokenLogprob};
use serde_json::{Value, json};
use std::sync::Arc;

/// What all parts of one completion share.
pub(crate) struct Completion {
    /// Its id.
    pub(crate) id: String,
    /// When it was asked for, in seconds since 1970.
    pub(crate) created: u64,
    /// What clients call the model.
    pub(crate) model: String,
    /// The mark of the weights.
    pub(crate) fingerprint: String,
    /// What the tokens are, where the model tells.
    pub(crate) vocabulary: Option<Arc<dyn Vocabulary>>,
    pub(crate) shape: Shape,
    /// How the reply was generated, the model's own choices filled in.
    pub(crate) limits: GenerationLimits,
    /// What has to be said of its pictures wherever it is shown.
    pub(crate) warnings: Vec<String>,
}

impl Completion {
    /// The whole completion.
    pub(crate) fn whole(&self, reply: &Reply) -> Value {
        let mut choice = json!({
            "index": 0,
            "message": {"role": "assistant", "content": reply.text, "refusal": null},
            "logprobs": self.logprobs(reply),
            "finish_reason": finish_reason(reply.stop),
            "stop_reason": self.stop_reason(reply.stop),
        });
        if self.shape.token_ids {
            choice["token_ids"] = json!(reply.token_ids);
        }
        let mut out = self.frame("chat.completion");
        out["choices"] = json!([choice]);
        out["usage"] = usage(reply);
        out["loupe"] = self.record(reply);
        out
    }

    /// A chunk with this delta; the last one of the text has the reply.
    pub(crate) fn chunk(&self, delta: &Value, reply: Option<&Reply>) -> Value {
        let mut choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": null});
        let mut out = self.frame("chat.completion.chunk");
        if let Some(reply) = reply {
            choice["logprobs"] = self.logprobs(reply);
            choice["finish_reason"] = json!(finish_reason(reply.stop));
            choice["stop_reason"] = json!(self.stop_reason(reply.stop));
            if self.shape.token_ids {
                choice["token_ids"] = json!(reply.token_ids);
            }
            out["loupe"] = self.record(reply);
        }
        out["choices"] = json!([choice]);
        if self.shape.usage {
            out["usage"] = Value::Null;
        }
        out
    }

    /// The chunk behind the last one, with the usage alone.
    pub(crate) fn usage_chunk(&self, reply: &Reply) -> Value {
        let mut out = self.frame("chat.completion.chunk");
        out["choices"] = json!([]);
        out["usage"] = usage(reply);
        out
    }

    fn frame(&self, object: &str) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        })
    }

    /// What was decided where the request left a choice, and why the reply ended.
    fn record(&self, reply: &Reply) -> Value {
        let mut record = json!({
            "stop": reply.stop,
            "max_tokens": self.limits.max_new_tokens,
            "repetition_penalty": self.limits.repetition_penalty,
            "temperature": 0.0,
        });
        if let Sampling::Random { temperature, top_k, top_p, seed } = self.limits.sampling {
            record["temperature"] = json!(temperature);
            record["top_k"] = json!(top_k);
            record["top_p"] = json!(top_p);
            record["seed"] = json!(seed);
        }
        if !self.warnings.is_empty() {
            record["warnings"] = json!(self.warnings);
        }
        record
    }

    /// The stop string that ended the reply, where it can be only one.
    fn stop_reason(&self, stop: Stop) -> Option<&str> {
        match (stop, self.limits.stop.as_slice()) {
            (Stop::StopString, [only]) => Some(only),
            _ => None,
        }
    }

    fn logprobs(&self, reply: &Reply) -> Value {
        let Some(tokens) = &reply.logprobs else { return Value::Null };
        let content: Vec<Value> = tokens.iter().map(|token| self.token(token)).collect();
        json!({"content": content, "refusal": null})
    }

    fn token(&self, token: &TokenLogprob) -> Value {
        let top: Vec<Value> = token.top.iter().map(|(id, logprob)| self.entry(*id, *logprob)).collect();
        let mut entry = self.entry(token.id, token.logprob);
        entry["top_logprobs"] = json!(top);
        entry
    }

    /// A token with its text and bytes; one whose text nobody tells is written as its number.
    fn entry(&self, id: u32, logprob: f32) -> Value {
        let bytes = self.vocabulary.as_ref().and_then(|vocabulary| vocabulary.bytes(id));
        let text = match &bytes {
            Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            None => format!("token_id:{id}"),
        };
        // JSON knows no infinity; OpenAI writes what is as good as impossible so.
        let logprob = if logprob.is_finite() { logprob } else { -9999.0 };
        json!({"token": text, "token_id": id, "logprob": logprob, "bytes": bytes})
    }
}

/// Why a reply ended, in OpenAI's two words.
fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::Length | Stop::ContextFull => "length",
        _ => "stop",
    }
}

fn usage(reply: &Reply) -> Value {
    let counts = &reply.counts;
    json!({
        "prompt_tokens": counts.prompt_tokens,
        "completion_tokens": counts.new_tokens,
        "total_tokens": counts.prompt_tokens + counts.new_tokens,
        "prompt_tokens_details": {
            "cached_tokens": counts.reused_tokens,
            "image_tokens": counts.picture_tokens,
        },
    })
}
