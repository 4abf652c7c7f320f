--- word_count: how often each word occurs.
---
---   weir run jobs/word_count.lua input='books/*.txt'
---   weir run jobs/word_count.lua input='books/*.txt' updates=true
---
--- Prints one line a word when the input ends, {"count":2,"word":"sea"}, in no particular order; with
--- updates=true one line at every change. A word is a run of ASCII letters, digits and bytes from 0x80 up
--- (so UTF-8 stays whole), ASCII lower-cased. The same by a function of one's own, at a third of the speed:
---
---   :flat_map(function(rec, emit)
---     for word in weir.text.lower_words(rec.line) do emit { word = word } end
---   end)
local weir = require "weir"

local job = weir.job { name = "word_count" }

job:source(weir.files { path = job.args.input or "jobs/data/*.txt" })
  :words()
  :key_by "word"
  :count { emit = job.args.updates == "true" and "update" or "final" }
  :uid "counts"
  :sink(weir.print())

return job
