"""The ops: one file per family, each page a public function, its derivation, reference, fwd, bwd and Rule."""
