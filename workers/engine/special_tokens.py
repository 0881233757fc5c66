"""The special tokens of the released vocabulary, in the order of their ids from 0."""

PADDING = "<|endoftext|>"
START = "<|im_start|>"
# ends every answer; the grammar knows it as the end of its text
END_OF_ANSWER = "<|box_end|>"

SPECIAL_TOKENS = (
    "<|PAD|>",
    "<|direct|>",
    "<|cot|>",
    "<|noisy|>",
    "<|synth|>",
    PADDING,
    START,
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    END_OF_ANSWER,
    "<|quad_start|>",
    "<|quad_end|>",
)
