#!/usr/bin/env lua5.4
-- notes-find: show the notes that match a Lua pattern.
local pattern = arg[1]
if not pattern then
  io.stderr:write("usage: notes-find PATTERN\n")
  os.exit(2)
end

local answer = assert(io.popen("notes path"))
local path = answer:read("l")
answer:close()

local found = false
for line in io.lines(path) do
  if line:find(pattern) then
    print(line)
    found = true
  end
end
os.exit(found)
