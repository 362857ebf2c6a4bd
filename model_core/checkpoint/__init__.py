"""Reading models from files: formats, the layouts of tutorials' state dicts, and what builds a model of them."""
