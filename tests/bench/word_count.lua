--- word_count: a running count of the words of a file; reference: ref_word_count.c.
local weir = require "weir"
local words = weir.text.lower_words

local job = weir.job { name = "word_count" }

local lines = job:source(weir.files { path = job.args.input })
local cut
if job.args.by == "lua" then
  cut = lines:flat_map(function(rec, emit)
    for word in words(rec.line) do emit { word = word } end
  end)
else
  cut = lines:words()
end

cut:key_by "word"
  :count()
  :measure { checksum = true }
  :sink(weir.print())

return job
