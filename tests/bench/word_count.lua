--- word_count: a running count of the words of a file; reference: ref_word_count.c.
local weir = require "weir"
local words = weir.text.words

local job = weir.job { name = "word_count" }

job:source(weir.files { path = job.args.input })
  :flat_map(function(rec, emit)
    for word in words(rec.line) do emit { word = word:lower() } end
  end)
  :key_by "word"
  :count()
  :measure { checksum = true }
  :sink(weir.print())

return job
