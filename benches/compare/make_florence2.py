"""A random Florence-2 checkpoint of about 400 million parameters, for `vqa_throughput.py`.

    python make_florence2.py OUT_FOLDER        (about 1.6 GB, f32)

Between the published base (0.23 B) and large (0.77 B) models: the tower of the base model at 1.25 times its width, BART with
10 and 10 layers of width 1024. One sequence is followed and no token is forced, so that both sides make as many tokens.
"""
import os, pathlib, sys
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
import transformers as tf

OUT = pathlib.Path(sys.argv[1])
t = Tokenizer(models.BPE())
t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
t.decoder = decoders.ByteLevel()
t.train_from_iterator(["is there a lesion in the left lung right"],
                      trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<image>"], show_progress=False,
                                          initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
t.add_special_tokens([AddedToken(f"<loc_{i}>", normalized=False) for i in range(1000)])
tok = tf.PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
                                 model_specific_special_tokens=dict(image_token="<image>"))
config = tf.Florence2Config(
    text_config=dict(model_type="bart", d_model=1024, encoder_layers=10, decoder_layers=10, encoder_ffn_dim=4096, decoder_ffn_dim=4096,
                     encoder_attention_heads=16, decoder_attention_heads=16, vocab_size=32000, max_position_embeddings=1024),
    vision_config=dict(embed_dim=[160, 320, 640, 1280], num_heads=[5, 10, 20, 40], num_groups=[5, 10, 20, 40], projection_dim=1024),
    image_token_id=tok.convert_tokens_to_ids("<image>"))
torch.manual_seed(0)
model = tf.Florence2ForConditionalGeneration(config)
model.generation_config = tf.GenerationConfig(decoder_start_token_id=2, pad_token_id=1, bos_token_id=0, eos_token_id=2, num_beams=1)
print(sum(p.numel() for p in model.parameters()) / 1e6, "million parameters")
model.save_pretrained(OUT)
ip = tf.CLIPImageProcessor(size=dict(height=768, width=768), do_center_crop=False, image_mean=[.485, .456, .406],
                           image_std=[.229, .224, .225])
ip.image_seq_length = 577
tf.Florence2Processor(ip, tok).save_pretrained(OUT)
